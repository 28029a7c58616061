// A step that repeats itself ten times.
#include "shape.h"

namespace {

struct RecursiveSwitch : shapes::Shape<RecursiveSwitch> {
  void start() { act(); }
  void loop_step() {
    again = ++rounds < 10;
    act();
  }
  void exit_loop() { act(); }
  void end() { act(); }

  static auto graph() {
    using F = RecursiveSwitch;
    return mf::graph(
        mf::step<&F::start>(mf::next<&F::loop_step>),
        mf::step<&F::loop_step>(mf::choose<&F::again, mf::when<true, &F::loop_step>, mf::when<false, &F::exit_loop>>),
        mf::step<&F::exit_loop>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<RecursiveSwitch>(argc, argv); }
