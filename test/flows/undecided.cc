// Chooses by an enum, whose value may have no case.
#include <metaflow/metaflow.h>

namespace mf = metaflow;

enum class Speed { slow, medium, fast = 9, absurd = 1000 };

struct Undecided : mf::FlowSpec<Undecided> {
  mf::Parameter<Speed> speed{{.value = Speed::slow, .help = "Picks the next step."}};

  void start() {}
  void walk() {}
  void drive() {}
  void end() {}

  static auto graph() {
    using U = Undecided;
    return mf::graph(
        mf::step<&U::start>(mf::choose<&U::speed, mf::when<Speed::slow, &U::walk>, mf::when<Speed::fast, &U::drive>>),
        mf::step<&U::walk>(mf::next<&U::end>), mf::step<&U::drive>(mf::next<&U::end>), mf::step<&U::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Undecided>(argc, argv); }
