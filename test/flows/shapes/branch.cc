// Two branches.
#include "shape.h"

namespace {

struct Branch : shapes::Shape<Branch> {
  void start() { act(); }
  void a() { act(); }
  void b() { act(); }
  void join(const mf::Inputs<Branch>& inputs) { act(inputs); }
  void end() { act(); }

  static auto graph() {
    using F = Branch;
    return mf::graph(mf::step<&F::start>(mf::next<&F::a, &F::b>), mf::step<&F::a>(mf::next<&F::join>),
                     mf::step<&F::b>(mf::next<&F::join>), mf::step<&F::join>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Branch>(argc, argv); }
