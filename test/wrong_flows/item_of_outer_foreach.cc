// expect: metaflow: this step takes an argument that the items of the foreach around it do not convert to
// names: inner int
#include <metaflow/metaflow.h>

#include <string>
#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<int> outer_items;
  std::vector<std::string> inner_items;
  void start() {}
  void outer(int) {}
  void inner(int) {}
  void join_inner(const mf::Inputs<Sweep>&) {}
  void join_outer(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::outer_items, &S::outer>),
                     mf::step<&S::outer>(mf::foreach<&S::inner_items, &S::inner>),
                     mf::step<&S::inner>(mf::next<&S::join_inner>), mf::step<&S::join_inner>(mf::next<&S::join_outer>),
                     mf::step<&S::join_outer>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
