// expect: metaflow: a C array cannot be stored; use std::array
// names: layer Layer
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Layer {
  double weights[3] = {};
  int size = 3;
};

struct Sweep : mf::FlowSpec<Sweep> {
  Layer layer;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
