// expect: metaflow: graph takes steps: mf::graph(mf::step<&F::start>(...), ...)
// names: start
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(&Sweep::start, &Sweep::end); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
