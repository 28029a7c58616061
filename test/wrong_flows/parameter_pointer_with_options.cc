// expect: metaflow: this data member cannot be stored as an artifact
// names: seed Parameter<int*>
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  mf::Parameter<int*> seed{{.help = "a number"}};
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
