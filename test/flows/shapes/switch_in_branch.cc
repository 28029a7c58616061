// A switch in one of two branches.
#include "shape.h"

namespace {

struct SwitchInBranch : shapes::Shape<SwitchInBranch> {
  void start() { act(); }
  void a() {
    condition = mode->empty() ? "case1" : *mode;
    act();
  }
  void b() { act(); }
  void c() { act(); }
  void d() { act(); }
  void join(const mf::Inputs<SwitchInBranch>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = SwitchInBranch;
    return mf::graph(mf::step<&F::start>(mf::next<&F::a, &F::b>),
                     mf::step<&F::a>(mf::choose<&F::condition, mf::when<"case1", &F::c>, mf::when<"case2", &F::d>>),
                     mf::step<&F::b>(mf::next<&F::join>), mf::step<&F::c>(mf::next<&F::join>),
                     mf::step<&F::d>(mf::next<&F::join>), mf::step<&F::join>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<SwitchInBranch>(argc, argv); }
