// expect: metaflow: this data member cannot be stored as an artifact
// names: node
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Node {
  int value = 0;
  Node* next_one = nullptr;
};

struct Sweep : mf::FlowSpec<Sweep> {
  Node node;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
