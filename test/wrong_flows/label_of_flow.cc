// expect: metaflow: mf::label names a member of the item, or a function or lambda of it, that gives a text or a number
// names: start counts
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<int> counts;
  int total = 0;
  void start() {}
  void work(int) {}
  void join(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::counts, &S::work, mf::label<&S::total>>),
                     mf::step<&S::work>(mf::next<&S::join>), mf::step<&S::join>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
