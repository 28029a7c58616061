// run_flow, which the main function of a flow calls. It is in a separate file, so that a program can define another
// run_flow with other platforms, as the tests do (test/platforms/run_flow.cc).
#include "cli/main.h"
#include "runtime/cpp/cpp_language.h"

namespace metaflow {

int detail::run_flow(const FlowTable& table, const GraphAnnotations& said, int argc, char** argv) {
  const FlowDescription flow = runtime::describe(table, said);
  const runtime::CppLanguage language(table);
  return cli::run_program({flow, language}, compute::platforms(), argc, argv);
}

}  // namespace metaflow
