// One step after the other.
#include "shape.h"

namespace {

struct Linear : shapes::Shape<Linear> {
  void start() { act(); }
  void a() { act(); }
  void end() { act(); }

  static auto graph() {
    using F = Linear;
    return mf::graph(mf::step<&F::start>(mf::next<&F::a>), mf::step<&F::a>(mf::next<&F::end>), mf::step<&F::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Linear>(argc, argv); }
