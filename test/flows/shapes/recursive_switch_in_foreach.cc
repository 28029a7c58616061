// A step in a foreach that repeats itself as often as the item says: A3 three times.
#include "shape.h"

namespace {

struct RecursiveSwitchInForeach : shapes::Shape<RecursiveSwitchInForeach> {
  static std::vector<std::string> first_items() { return {"A3", "B5", "C2"}; }

  void start() {
    x = *items;
    act();
  }
  void start_loop_for_item() { act(); }
  void loop_body() {
    again = ++rounds < std::stoi(item.substr(1));
    act();
  }
  void exit_item_loop() { act(); }
  void join(const mf::Inputs<RecursiveSwitchInForeach>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = RecursiveSwitchInForeach;
    return mf::graph(mf::step<&F::start>(mf::foreach<&F::x, &F::start_loop_for_item>),
                     mf::step<&F::start_loop_for_item>(mf::next<&F::loop_body>),
                     mf::step<&F::loop_body>(
                         mf::choose<&F::again, mf::when<true, &F::loop_body>, mf::when<false, &F::exit_item_loop>>),
                     mf::step<&F::exit_item_loop>(mf::next<&F::join>), mf::step<&F::join>(mf::next<&F::end>),
                     mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<RecursiveSwitchInForeach>(argc, argv); }
