// expect: metaflow: the name of this data member is a Python keyword or used by Metaflow
// names: name
#include <metaflow/metaflow.h>

#include <string>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::string name;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
