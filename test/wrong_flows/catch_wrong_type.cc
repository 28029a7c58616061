// expect: metaflow: the member that catch_ fills is a std::optional<mf::CaughtException>
// names: Sweep
#include <metaflow/metaflow.h>

#include <optional>
#include <string>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::optional<mf::CaughtException> problem;
  std::string word;
  void start() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&S::end>, mf::catch_{.var = &S::word}), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
