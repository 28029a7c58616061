// expect: metaflow: this data member cannot be stored as an artifact
// names: label
#include <metaflow/metaflow.h>

#include <string_view>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::string_view label;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
