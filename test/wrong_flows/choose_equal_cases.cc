// expect: metaflow: two cases of this choose are equal
// names: start mode
#include <metaflow/metaflow.h>

#include <string>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::string mode;
  void start() {}
  void quick() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::choose<&S::mode, mf::when<"fast", &S::quick>, mf::when<"fast", &S::end>>),
                     mf::step<&S::quick>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
