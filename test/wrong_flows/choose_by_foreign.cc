// expect: metaflow: foreach and choose read an artifact of this flow; this member is not one
// names: start good
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Other {
  bool good = false;
};

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void quick() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::choose<&Other::good, mf::when<true, &S::quick>, mf::when<false, &S::end>>),
                     mf::step<&S::quick>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
