// expect: metaflow: a const member of a struct cannot be read back; remove the const
// names: big Big
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Big {
  const int a = 0;
};
struct Sweep : mf::FlowSpec<Sweep> {
  Big big;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
