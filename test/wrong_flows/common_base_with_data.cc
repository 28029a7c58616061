// expect: metaflow: a base class of this flow has data members
// names: Sweep
#include <metaflow/metaflow.h>

namespace mf = metaflow;

template <class F>
struct Common : mf::FlowSpec<F> {
  int x = 0;
  void start() {}
  void end() {}
};
struct Sweep : Common<Sweep> {
  int y = 0;
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
