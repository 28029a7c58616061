// expect: metaflow: two flows have the same name; rename one of them: static constexpr auto flow_name = "..."
// names: Sweep
#include <metaflow/metaflow.h>

namespace mf = metaflow;

namespace {

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>); }
};

struct Again : mf::FlowSpec<Again> {
  static constexpr auto flow_name = "Sweep";
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Again::start>(mf::next<&Again::end>), mf::step<&Again::end>); }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Sweep, Again>(argc, argv); }
