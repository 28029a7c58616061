// expect: metaflow: choose takes an enum, an integer, a bool or a std::string
// names: start ratio
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  double ratio = 0;
  void start() {}
  void quick() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::choose<&S::ratio, mf::when<0, &S::quick>, mf::when<1, &S::end>>),
                     mf::step<&S::quick>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
