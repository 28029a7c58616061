// expect: metaflow: no step leads to this step
// names: lonely
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void lonely() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&S::end>), mf::step<&S::lonely>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
