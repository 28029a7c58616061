// expect: metaflow: each names a data member of the flow: inputs.each(&Flow::result)
// names: Other double
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Other {
  double result = 0;
};

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  double sum = 0;
  void start() {}
  void work(double) {}
  void join(const mf::Inputs<Sweep>& inputs) {
    for (double r : inputs.each(&Other::result)) sum += r;
  }
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>), mf::step<&S::work>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
