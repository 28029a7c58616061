// expect: metaflow: the project of a flow is a name of lowercase letters, digits and underscores, at most 128
// names: Risk
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  static constexpr auto project = "Risk";
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
