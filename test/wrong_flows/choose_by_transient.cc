// expect: metaflow: choose takes an enum, an integer, a bool or a std::string
// names: start good
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  mf::Transient<bool> good;
  void start() {}
  void quick() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::choose<&S::good, mf::when<true, &S::quick>, mf::when<false, &S::end>>),
                     mf::step<&S::quick>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
