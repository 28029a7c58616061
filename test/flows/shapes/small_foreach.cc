// A foreach of one step.
#include "shape.h"

namespace {

struct SmallForeach : shapes::Shape<SmallForeach, int> {
  static std::vector<int> first_items() { return {1, 2, 3}; }

  void start() { act(); }
  void foreach_split() {
    x = *items;
    act();
  }
  void foreach_inner() { act(); }
  void foreach_join(const mf::Inputs<SmallForeach>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = SmallForeach;
    return mf::graph(mf::step<&F::start>(mf::next<&F::foreach_split>),
                     mf::step<&F::foreach_split>(mf::foreach<&F::x, &F::foreach_inner>),
                     mf::step<&F::foreach_inner>(mf::next<&F::foreach_join>),
                     mf::step<&F::foreach_join>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<SmallForeach>(argc, argv); }
