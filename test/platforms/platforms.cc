// The command line of test flows that know one platform more than the library does. Linked into a flow's program, it
// stands in for src/cli/run_flow.cc.
#include "cli/main.h"
#include "platforms/process/process_platform.h"

namespace metaflow {

namespace {

const compute::Platforms& platforms_of_tests() {
  static const compute::Platforms kPlatforms = [] {
    std::vector<const compute::Platform*> all = compute::platforms().all();
    all.push_back(&process_platform::process_platform());
    return compute::Platforms(std::move(all));
  }();
  return kPlatforms;
}

}  // namespace

int detail::run_flow(const FlowDescription& flow, int argc, char** argv) {
  return cli::run_program(flow, platforms_of_tests(), argc, argv);
}

}  // namespace metaflow
