// Two branches: one is tried again after an hour, the other one is not.
#include "shape.h"

namespace {

struct RetryApart : shapes::Shape<RetryApart> {
  void start() { act(); }
  void patient() { act(); }
  void fragile() { act(); }
  void join(const mf::Inputs<RetryApart>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = RetryApart;
    return mf::graph(mf::step<&F::start>(mf::next<&F::patient, &F::fragile>),
                     mf::step<&F::patient>(mf::retry{.times = 1, .minutes_between_retries = 60}, mf::next<&F::join>),
                     mf::step<&F::fragile>(mf::next<&F::join>), mf::step<&F::join>(mf::next<&F::end>),
                     mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<RetryApart>(argc, argv); }
