// expect: metaflow: a join cannot also be a split; add a step after the join
// names: join
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<double> items;
  void start() {}
  void work() {}
  void join(const mf::Inputs<Sweep>&) {}
  void left() {}
  void right() {}
  void join_again(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>), mf::step<&S::work>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::left, &S::right>), mf::step<&S::left>(mf::next<&S::join_again>),
                     mf::step<&S::right>(mf::next<&S::join_again>), mf::step<&S::join_again>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
