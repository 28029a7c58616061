// expect: metaflow: the name of a flow is an identifier of two letters or more
// names: F
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct F : mf::FlowSpec<F> {
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&F::start>(mf::next<&F::end>), mf::step<&F::end>()); }
};

int main(int argc, char** argv) { return mf::run<F>(argc, argv); }
