// expect: metaflow: a step is a (non-static) member function of the flow: mf::step<&Flow::name>
// names: result
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  double result = 0;
  void start() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&S::end>), mf::step<&S::result>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
