// expect: metaflow: catch_ fills a member, .var = &Flow::problem, or mf::for_python{"problem"}
// names: caught_artifact
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
    return mf::graph(mf::step<&S::start>(mf::next<&S::end>, mf::catch_{.var = "problm"}), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
