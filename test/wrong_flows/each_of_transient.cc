// expect: metaflow: a Transient is not stored, so the inputs of a join do not have it
// names: Sweep Transient<double>
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  mf::Transient<double> result;
  double sum = 0;
  void start() {}
  void work(double) {}
  void join(const mf::Inputs<Sweep>& inputs) {
    for (const auto& r : inputs.each(&Sweep::result)) sum += *r;
  }
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>), mf::step<&S::work>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
