// run_flows, which the main function of a program calls. It is in a separate file, so that a program can define another
// run_flows with other platforms, as the tests do (test/platforms/run_flow.cc).
#include "cli/cpp_program.h"

namespace metaflow {

int detail::run_flows(const FlowEntry* flows, std::size_t count, int argc, char** argv) {
  return cli::run_cpp_program({flows, count}, compute::platforms(), argc, argv);
}

}  // namespace metaflow
