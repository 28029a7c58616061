// expect: metaflow: a type that contains itself cannot be stored
// names: tree Node
#include <metaflow/metaflow.h>

#include <map>
#include <string>
#include <vector>

namespace mf = metaflow;

struct Node {
  int value = 0;
  std::map<std::string, std::vector<Node>> children;
};

struct Sweep : mf::FlowSpec<Sweep> {
  int n = 0;
  mf::Lazy<Node> tree;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
