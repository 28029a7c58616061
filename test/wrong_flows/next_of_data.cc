// expect: metaflow: next, foreach and choose lead to steps of this flow
// names: start items
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::items>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
