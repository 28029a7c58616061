// The command line of a flow in any language, with a given set of platforms.
#pragma once

#include <functional>

#include <metaflow/detail/description.h>

#include "compute/platform.h"
#include "runtime/language.h"

namespace metaflow::cli {

/// A flow and the language of its steps. Both outlive this.
struct Program {
  const detail::FlowDescription& flow;
  const runtime::Language& language;
  bool is_one_of_several = false;  // flows of the program: commands name the flow
  std::string launcher{};          // precedes the program in commands that users paste: "python"
};

/// Parses the command line, runs the command and prints its errors. Returns the exit code.
int run_program(const Program& program, const compute::Platforms& platforms, int argc, char** argv);

/// Calls `command`, which returns an exit code, prints its error, and ends the process's output. Returns the exit code.
int run_and_report(const std::function<int()>& command);

}  // namespace metaflow::cli
