// expect: metaflow: a parameter cannot have the name of an option of run; rename it
// names: Origin_Run_Id
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  const mf::Parameter<std::string> Origin_Run_Id{{.value = ""}};
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
