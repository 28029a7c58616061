// expect: metaflow: the name of an artifact has ASCII letters, digits and underscores only
// names: gr????e
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  int größe = 0;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
