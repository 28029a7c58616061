// What a flow's main function calls. A file of its own, which a program leaves out that brings a run_flow with other
// platforms: tests do (test/platforms/run_flow.cc).
#include "cli/main.h"
#include "runtime/cpp/cpp_language.h"

namespace metaflow {

int detail::run_flow(const FlowTable& table, const GraphAnnotations& said, int argc, char** argv) {
  const FlowDescription flow = runtime::describe(table, said);
  const runtime::CppLanguage language(table);
  return cli::run_program({flow, language}, compute::platforms(), argc, argv);
}

}  // namespace metaflow
