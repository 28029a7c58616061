// A flow of one step, of any name.
#include <metaflow/metaflow.h>

namespace mf = metaflow;

namespace {

struct Single : mf::FlowSpec<Single> {
  mf::Parameter<double> x{{.value = 1.5}};
  double twice = 0;

  void compute() { twice = 2 * *x; }

  static auto graph() { return mf::graph(mf::step<&Single::compute>()); }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Single>(argc, argv); }
