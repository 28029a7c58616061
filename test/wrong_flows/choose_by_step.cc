// expect: metaflow: choose names a data member and the cases: mf::choose<&Flow::kind, mf::when<1, &Flow::a>, ...>
// names: start
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void quick() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::choose<&S::quick, mf::when<true, &S::quick>, mf::when<false, &S::end>>),
                     mf::step<&S::quick>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
