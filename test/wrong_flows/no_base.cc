// expect: metaflow: a flow derives (publicly) from mf::FlowSpec of itself: struct Sweep : mf::FlowSpec<Sweep> { ... };
// names: Sweep
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep {
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
