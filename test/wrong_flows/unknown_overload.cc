// expect: metaflow: this step leads to a step that is not in graph()
// names: start work
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void work() {}
  void work(int) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    constexpr auto kWork = static_cast<void (S::*)()>(&S::work);
    constexpr auto kWorkOn = static_cast<void (S::*)(int)>(&S::work);
    return mf::graph(mf::step<&S::start>(mf::next<kWork>), mf::step<kWorkOn>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
