// expect: metaflow: current().input names the range of a foreach
// names: Sweep int
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  int count = 0;
  void start() {}
  void work() { count = mf::current().input(&Sweep::count); }
  void join(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>), mf::step<&S::work>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
