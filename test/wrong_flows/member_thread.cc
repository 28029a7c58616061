// expect: metaflow: this data member cannot be stored as an artifact
// names: worker
#include <metaflow/metaflow.h>

#include <thread>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::thread worker;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
