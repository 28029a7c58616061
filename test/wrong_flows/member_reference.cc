// expect: metaflow: a reference, a bit-field or an anonymous union cannot be stored; hold a value, or a pointer in
// names: Sweep
#include <metaflow/metaflow.h>

namespace mf = metaflow;

inline int counter = 0;
struct Sweep : mf::FlowSpec<Sweep> {
  double result = 0;
  int& count = counter;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
