// expect: metaflow: the graph has a loop through this step; only a step that chooses itself may repeat
// names: second
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  bool done = false;
  void start() {}
  void first() {}
  void second() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&S::first>), mf::step<&S::first>(mf::next<&S::second>),
                     mf::step<&S::second>(mf::choose<&S::done, mf::when<true, &S::end>, mf::when<false, &S::first>>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
