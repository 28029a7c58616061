// A foreach of two steps.
#include "shape.h"

namespace {

struct Foreach : shapes::Shape<Foreach, int> {
  static std::vector<int> first_items() { return {1, 2, 3}; }

  void start() { act(); }
  void foreach_split() {
    x = *items;
    act();
  }
  void foreach_inner_first() { act(); }
  void foreach_inner_second() { act(); }
  void foreach_join(const mf::Inputs<Foreach>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = Foreach;
    return mf::graph(mf::step<&F::start>(mf::next<&F::foreach_split>),
                     mf::step<&F::foreach_split>(mf::foreach<&F::x, &F::foreach_inner_first>),
                     mf::step<&F::foreach_inner_first>(mf::next<&F::foreach_inner_second>),
                     mf::step<&F::foreach_inner_second>(mf::next<&F::foreach_join>),
                     mf::step<&F::foreach_join>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Foreach>(argc, argv); }
