// A step that throws, small enough to be inlined; built with -g whatever the build type.
#include <metaflow/metaflow.h>

#include <stdexcept>

namespace mf = metaflow;

struct DebugLines : mf::FlowSpec<DebugLines> {
  int answer = 0;

  void start() {
    if (answer == 0) throw std::runtime_error("no answer");
  }
  void end() {}

  static auto graph() {
    return mf::graph(mf::step<&DebugLines::start>(mf::next<&DebugLines::end>), mf::step<&DebugLines::end>());
  }
};

int main(int argc, char** argv) { return mf::run<DebugLines>(argc, argv); }
