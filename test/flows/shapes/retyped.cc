// SmallForeach with another type for the artifact `data`, as after an edit.
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

namespace {

struct Retyped : mf::FlowSpec<Retyped> {
  static constexpr auto flow_name = "SmallForeach";

  mf::Parameter<std::vector<int>> items{{.value = {{1, 2, 3}}}};
  std::vector<int> x;
  int item = 0;
  int data = 0;  // a text in SmallForeach

  void start() { data = 1; }
  void foreach_split() { x = *items; }
  void foreach_inner(int value) { item = value; }
  void foreach_join(const mf::Inputs<Retyped>&) {}
  void end() {}

  static auto graph() {
    using F = Retyped;
    return mf::graph(mf::step<&F::start>(mf::next<&F::foreach_split>),
                     mf::step<&F::foreach_split>(mf::foreach<&F::x, &F::foreach_inner>),
                     mf::step<&F::foreach_inner>(mf::next<&F::foreach_join>),
                     mf::step<&F::foreach_join>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Retyped>(argc, argv); }
