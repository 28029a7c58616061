// expect: metaflow: this data member cannot be stored as an artifact
// names: model
#include <metaflow/metaflow.h>

#include <memory>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  int seed = 0;
  std::unique_ptr<int> model;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
