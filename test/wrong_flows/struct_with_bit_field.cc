// expect: metaflow: a reference, a bit-field or an anonymous union cannot be stored
// names: flags Flags
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Flags {
  int a : 3 = 0;
  int b : 5 = 0;
};
struct Sweep : mf::FlowSpec<Sweep> {
  Flags flags;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
