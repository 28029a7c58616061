// expect: metaflow: no stored value can be read as this type
// names: int*
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  void start() {}
  void work() { mf::current().input<int*>(); }
  void join(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>), mf::step<&S::work>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
