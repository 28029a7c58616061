// The command line of test flows that know one platform more than the library does. Linked into a flow's program, it
// stands in for src/cli/run_flow.cc.
#include "cli/cpp_program.h"
#include "platforms/platforms.h"

namespace metaflow {

int detail::run_flows(const FlowEntry* flows, std::size_t count, int argc, char** argv) {
  return cli::run_cpp_program({flows, count}, platforms_of_tests(), argc, argv);
}

}  // namespace metaflow
