// expect: metaflow: foreach and choose read an artifact of this flow; this member is not one
// names: start items
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Other {
  std::vector<double> items;
};

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  void start() {}
  void work(double) {}
  void join(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&Other::items, &S::work>), mf::step<&S::work>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
