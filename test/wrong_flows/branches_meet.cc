// expect: metaflow: branches of a split meet in this step, which is not a join; make it take const mf::Inputs<Flow>&
// names: meet
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  void start() {}
  void left() {}
  void right() {}
  void meet() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&S::left, &S::right>), mf::step<&S::left>(mf::next<&S::meet>),
                     mf::step<&S::right>(mf::next<&S::meet>), mf::step<&S::meet>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
