// expect: metaflow: this join takes the inputs of another flow
// names: join
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Other : mf::FlowSpec<Other> {};
struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  void start() {}
  void work() {}
  void join(const mf::Inputs<Other>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>), mf::step<&S::work>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
