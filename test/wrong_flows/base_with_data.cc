// expect: metaflow: a base class of this flow has data members
// names: Sweep
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Common {
  int seed = 1;
};

struct Sweep : mf::FlowSpec<Sweep>, Common {
  double result = 0;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
