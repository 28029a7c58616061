// A switch between three steps.
#include "shape.h"

namespace {

struct SwitchBasic : shapes::Shape<SwitchBasic> {
  void start() { act(); }
  void switch_step() {
    condition = mode->empty() ? "case1" : *mode;
    act();
  }
  void a() { act(); }
  void b() { act(); }
  void c() { act(); }
  void end() { act(); }

  static auto graph() {
    using F = SwitchBasic;
    return mf::graph(
        mf::step<&F::start>(mf::next<&F::switch_step>),
        mf::step<&F::switch_step>(
            mf::choose<&F::condition, mf::when<"case1", &F::a>, mf::when<"case2", &F::b>, mf::when<"case3", &F::c>>),
        mf::step<&F::a>(mf::next<&F::end>), mf::step<&F::b>(mf::next<&F::end>), mf::step<&F::c>(mf::next<&F::end>),
        mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<SwitchBasic>(argc, argv); }
