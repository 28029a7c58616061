// expect: metaflow: the name of a step has lowercase letters, digits and underscores only
// names: _work
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void _work() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&S::_work>), mf::step<&S::_work>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
