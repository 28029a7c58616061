// A switch in a foreach: by the first letter of the item.
#include "shape.h"

namespace {

struct SwitchInForeach : shapes::Shape<SwitchInForeach> {
  static std::vector<std::string> first_items() { return {"a1", "b2", "a3"}; }

  void start() {
    x = *items;
    act();
  }
  void process_item() {
    act();
    condition = item.substr(0, 1);
  }
  void handle_a() { act(); }
  void handle_b() { act(); }
  void join(const mf::Inputs<SwitchInForeach>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = SwitchInForeach;
    return mf::graph(
        mf::step<&F::start>(mf::foreach<&F::x, &F::process_item>),
        mf::step<&F::process_item>(mf::choose<&F::condition, mf::when<"a", &F::handle_a>, mf::when<"b", &F::handle_b>>),
        mf::step<&F::handle_a>(mf::next<&F::join>), mf::step<&F::handle_b>(mf::next<&F::join>),
        mf::step<&F::join>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<SwitchInForeach>(argc, argv); }
