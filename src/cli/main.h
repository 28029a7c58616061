// The command line of a flow in any language, with a given set of platforms.
#pragma once

#include <metaflow/detail/description.h>

#include "compute/platform.h"
#include "runtime/language.h"

namespace metaflow::cli {

/// A flow and the language of its steps. Both outlive this.
struct Program {
  const detail::FlowDescription& flow;
  const runtime::Language& language;
};

/// Parses the command line, runs the command and prints its errors. Returns the exit code.
int run_program(const Program& program, const compute::Platforms& platforms, int argc, char** argv);

}  // namespace metaflow::cli
