// A switch behind a switch.
#include "shape.h"

namespace {

struct SwitchNested : shapes::Shape<SwitchNested> {
  void start() {
    condition = *mode == "b" ? "case2" : "case1";
    act();
  }
  void switch2() {
    inner_condition = *mode == "d" ? "case2_2" : "case2_1";
    act();
  }
  void b() { act(); }
  void c() { act(); }
  void d() { act(); }
  void end() { act(); }

  static auto graph() {
    using F = SwitchNested;
    return mf::graph(
        mf::step<&F::start>(mf::choose<&F::condition, mf::when<"case1", &F::switch2>, mf::when<"case2", &F::b>>),
        mf::step<&F::switch2>(mf::choose<&F::inner_condition, mf::when<"case2_1", &F::c>, mf::when<"case2_2", &F::d>>),
        mf::step<&F::b>(mf::next<&F::end>), mf::step<&F::c>(mf::next<&F::end>), mf::step<&F::d>(mf::next<&F::end>),
        mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<SwitchNested>(argc, argv); }
