// expect: metaflow: Python cannot tell two alternatives of this variant apart (for example int and enum are both int)
// names: value
#include <metaflow/metaflow.h>

#include <variant>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::variant<int, long> value;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
