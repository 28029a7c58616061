// The hidden command `supervise`, which the container of a remote task executes.
#pragma once

#include <metaflow/detail/description.h>

#include "compute/platform.h"

namespace metaflow::cli {

/// supervise [--time-limit SECONDS] [--grace SECONDS] [--max-log-size MB] -- STEP'S ARGUMENTS. Returns the exit code.
int run_supervise_command(const detail::FlowDescription& flow, const compute::Platforms& platforms, int argc,
                          char** argv);

}  // namespace metaflow::cli
