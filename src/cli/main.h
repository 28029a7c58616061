// The command line of a flow, with the platforms that it is to know.
#pragma once

#include <metaflow/detail/description.h>

#include "compute/platform.h"

namespace metaflow::cli {

/// Finds out which command is meant, runs it, prints its errors. Returns the exit status.
int run_program(const detail::FlowDescription& flow, const compute::Platforms& platforms, int argc, char** argv);

}  // namespace metaflow::cli
