// expect: metaflow: a flow needs a default constructor; give its members initial values
// names: Sweep
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Seed {
  int value;
  Seed(int v) : value(v) {}
};

struct Sweep : mf::FlowSpec<Sweep> {
  Seed seed;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
