// expect: metaflow: a reference, a bit-field or an anonymous union cannot be stored
// names: Sweep
#include <metaflow/metaflow.h>

#include <string>

namespace mf = metaflow;

std::string other;
struct Sweep : mf::FlowSpec<Sweep> {
  const std::string& p = other;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
