// expect: metaflow: this data member cannot be stored as an artifact
// names: lock
#include <metaflow/metaflow.h>

#include <mutex>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::mutex lock;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
