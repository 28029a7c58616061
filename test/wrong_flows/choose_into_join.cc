// expect: metaflow: this choose leads straight into a join; put a step between them
// names: work join
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  bool good = false;
  void start() {}
  void work() {}
  void polish() {}
  void join(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>),
                     mf::step<&S::work>(mf::choose<&S::good, mf::when<true, &S::join>, mf::when<false, &S::polish>>),
                     mf::step<&S::polish>(mf::next<&S::join>), mf::step<&S::join>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
