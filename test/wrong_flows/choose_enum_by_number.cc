// expect: metaflow: a case of this choose does not have the type of its variable
// names: start kind
#include <metaflow/metaflow.h>

namespace mf = metaflow;

enum class Kind { fast, slow };
struct Sweep : mf::FlowSpec<Sweep> {
  Kind kind = Kind::fast;
  void start() {}
  void quick() {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::choose<&S::kind, mf::when<0, &S::quick>, mf::when<1, &S::end>>),
                     mf::step<&S::quick>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
