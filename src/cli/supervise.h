// The hidden command `supervise`, which the container of a remote task executes.
#pragma once

#include "cli/main.h"
#include "compute/platform.h"

namespace metaflow::cli {

/// supervise [--time-limit SECONDS] [--grace SECONDS] [--max-log-size MB] -- STEP'S ARGUMENTS. Returns the exit code.
int run_supervise_command(const Program& program, const compute::Platforms& platforms, int argc, char** argv);

}  // namespace metaflow::cli
