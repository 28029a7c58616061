// expect: metaflow: the elements of an Array are bool, integers, float, double or complex
// names: Colour
#include <metaflow/metaflow.h>

namespace mf = metaflow;

enum class Colour { red, green };
struct Sweep : mf::FlowSpec<Sweep> {
  mf::Array<Colour> colours;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
