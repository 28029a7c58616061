// expect: metaflow: a base class of this struct has data members; list all members
// names: point Point
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Base {
  int a = 1;
};
struct Point : Base {
  int b = 2;
};
struct Sweep : mf::FlowSpec<Sweep> {
  Point point;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
