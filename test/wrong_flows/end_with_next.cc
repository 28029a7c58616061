// expect: metaflow: end is the last step; it has no next
// names: end
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void work() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&S::end>), mf::step<&S::work>(mf::next<&S::end>),
                     mf::step<&S::end>(mf::next<&S::work>));
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
