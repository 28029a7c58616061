// expect: metaflow: a flow needs a public static auto graph() { return mf::graph(mf::step<&F::start>(...), ...); }
// names: Sweep
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  double result = 0;
  void start() {}
  void end() {}
  auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
