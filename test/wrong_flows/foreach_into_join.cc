// expect: metaflow: this split leads straight into a join; put a step between them
// names: start join
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  void start() {}
  void join(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::join>), mf::step<&S::join>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
