// expect: metaflow: the elements of an Array are bool, integers, float, double or complex
// names: Array<std::__cxx11::basic_string|Array<std::basic_string
#include <metaflow/metaflow.h>

#include <string>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  mf::Array<std::string> names;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
