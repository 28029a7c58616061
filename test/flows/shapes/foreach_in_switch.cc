// A foreach behind one way of a switch.
#include "shape.h"

namespace {

struct ForeachInSwitch : shapes::Shape<ForeachInSwitch> {
  static std::vector<std::string> first_items() { return {"item_1", "item_2"}; }

  void start() {
    condition = mode->empty() ? "process" : *mode;
    act();
  }
  void process_items() {
    x = *items;
    act();
  }
  void do_work() { act(); }
  void join_work(const mf::Inputs<ForeachInSwitch>& inputs) { act(inputs); }
  void skip_processing() { act(); }
  void end() { act(); }

  static auto graph() {
    using F = ForeachInSwitch;
    return mf::graph(
        mf::step<&F::start>(
            mf::choose<&F::condition, mf::when<"process", &F::process_items>, mf::when<"skip", &F::skip_processing>>),
        mf::step<&F::process_items>(mf::foreach<&F::x, &F::do_work>), mf::step<&F::do_work>(mf::next<&F::join_work>),
        mf::step<&F::join_work>(mf::next<&F::end>), mf::step<&F::skip_processing>(mf::next<&F::end>),
        mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<ForeachInSwitch>(argc, argv); }
