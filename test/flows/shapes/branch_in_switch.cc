// Branches behind one way of a switch.
#include "shape.h"

namespace {

struct BranchInSwitch : shapes::Shape<BranchInSwitch> {
  void start() {
    condition = mode->empty() ? "process" : *mode;
    act();
  }
  void process_branch() { act(); }
  void p1() { act(); }
  void p2() { act(); }
  void process_join(const mf::Inputs<BranchInSwitch>& inputs) { act(inputs); }
  void skip_path() { act(); }
  void end() { act(); }

  static auto graph() {
    using F = BranchInSwitch;
    return mf::graph(
        mf::step<&F::start>(
            mf::choose<&F::condition, mf::when<"process", &F::process_branch>, mf::when<"skip", &F::skip_path>>),
        mf::step<&F::process_branch>(mf::next<&F::p1, &F::p2>), mf::step<&F::p1>(mf::next<&F::process_join>),
        mf::step<&F::p2>(mf::next<&F::process_join>), mf::step<&F::process_join>(mf::next<&F::end>),
        mf::step<&F::skip_path>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<BranchInSwitch>(argc, argv); }
