// expect: metaflow: a step is given its transition, decorators and mf::doc, nothing else
// names: start
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(&Sweep::end), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
