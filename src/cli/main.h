// The command line of a flow in any language, with the platforms that it is to know.
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

/// Finds out which command is meant, runs it, prints its errors. Returns the exit status.
int run_program(const Program& program, const compute::Platforms& platforms, int argc, char** argv);

}  // namespace metaflow::cli
