// expect: metaflow: a C array cannot be stored; use std::array
// names: weights
#include <metaflow/metaflow.h>

#include <string>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  int seed = 0;
  double weights[3] = {};
  std::string label;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
