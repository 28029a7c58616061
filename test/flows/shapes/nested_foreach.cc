// Foreachs in foreachs in a foreach.
#include "shape.h"

namespace {

struct NestedForeach : shapes::Shape<NestedForeach> {
  static std::vector<std::string> first_items() { return {"a", "b", "c"}; }

  void start() { act(); }
  void foreach_split_x() {
    x = *items;
    act();
  }
  void foreach_split_y() {
    y = {"d", "e"};
    act();
  }
  void foreach_split_z() {
    z = {"f", "g", "h", "i", "j", "k"};
    act();
  }
  void foreach_inner() { act(); }
  void foreach_join_z(const mf::Inputs<NestedForeach>& inputs) { act(inputs); }
  void foreach_join_y(const mf::Inputs<NestedForeach>& inputs) { act(inputs); }
  void foreach_join_x(const mf::Inputs<NestedForeach>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = NestedForeach;
    return mf::graph(mf::step<&F::start>(mf::next<&F::foreach_split_x>),
                     mf::step<&F::foreach_split_x>(mf::foreach<&F::x, &F::foreach_split_y>),
                     mf::step<&F::foreach_split_y>(mf::foreach<&F::y, &F::foreach_split_z>),
                     mf::step<&F::foreach_split_z>(mf::foreach<&F::z, &F::foreach_inner>),
                     mf::step<&F::foreach_inner>(mf::next<&F::foreach_join_z>),
                     mf::step<&F::foreach_join_z>(mf::next<&F::foreach_join_y>),
                     mf::step<&F::foreach_join_y>(mf::next<&F::foreach_join_x>),
                     mf::step<&F::foreach_join_x>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<NestedForeach>(argc, argv); }
