// The command line of test flows that know one platform more than the library does. Linked into a flow's program, it
// stands in for src/cli/run_flow.cc.
#include "cli/main.h"
#include "platforms/platforms.h"
#include "runtime/cpp/cpp_language.h"

namespace metaflow {

int detail::run_flow(const FlowTable& table, const GraphAnnotations& said, int argc, char** argv) {
  const FlowDescription flow = runtime::describe(table, said);
  const runtime::CppLanguage language(table);
  return cli::run_program({flow, language}, platforms_of_tests(), argc, argv);
}

}  // namespace metaflow
