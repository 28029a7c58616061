// expect: metaflow: this split is not joined before end; add a join step
// names: start
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void left() {}
  void right() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&S::left, &S::right>), mf::step<&S::left>(mf::next<&S::end>),
                     mf::step<&S::right>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
