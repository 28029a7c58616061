// expect: metaflow: this step is a member of another flow
// names: work
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Other {
  void work() {}
};

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&Other::work>), mf::step<&Other::work>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
