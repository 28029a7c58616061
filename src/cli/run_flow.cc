// What a flow's main function calls. A file of its own, which a program leaves out that brings a run_flow with other
// platforms: tests do (test/platforms/platforms.cc).
#include "cli/main.h"

namespace metaflow {

int detail::run_flow(const FlowDescription& flow, int argc, char** argv) {
  return cli::run_program(flow, compute::platforms(), argc, argv);
}

}  // namespace metaflow
