// expect: metaflow: a flow needs a step named end
// names: Sweep
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void finish() {}
  static auto graph() {
    return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::finish>), mf::step<&Sweep::finish>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
