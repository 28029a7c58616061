// SmallForeach with another name for the step in the foreach, as after an edit.
#include "shape.h"

namespace {

struct Renamed : shapes::Shape<Renamed, int> {
  static constexpr auto flow_name = "SmallForeach";
  static std::vector<int> first_items() { return {1, 2, 3}; }

  void start() { act(); }
  void foreach_split() {
    x = *items;
    act();
  }
  void foreach_body() { act(); }
  void foreach_join(const mf::Inputs<Renamed>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = Renamed;
    return mf::graph(mf::step<&F::start>(mf::next<&F::foreach_split>),
                     mf::step<&F::foreach_split>(mf::foreach<&F::x, &F::foreach_body>),
                     mf::step<&F::foreach_body>(mf::next<&F::foreach_join>),
                     mf::step<&F::foreach_join>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Renamed>(argc, argv); }
