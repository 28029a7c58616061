#include <metaflow/metaflow.h>

#include <cstdio>

namespace mf = metaflow;

struct Hello : mf::FlowSpec<Hello> {
  int number = 0;

  void start() { number = 6 * 7; }
  void end() { std::printf("The number is %d.\n", number); }

  static auto graph() {
    return mf::graph(mf::step<&Hello::start>(mf::next<&Hello::end>),  // start, then end
                     mf::step<&Hello::end>());                        // the last step
  }
};

int main(int argc, char** argv) { return mf::run<Hello>(argc, argv); }
