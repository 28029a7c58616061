// expect: metaflow: a flow needs a step named start
// names: Sweep
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void begin() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::begin>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
