// The jobs that runs have on platforms: the commands list and kill, and the wait of `resume` for them.
#pragma once

#include <string>

#include "cli/command_line.h"
#include "cli/context.h"

namespace metaflow::cli {

/// The group of commands of a platform with jobs. The options are Metaflow's.
Command job_commands(Context& context, const compute::Platform& platform);

/// Called before `resume`: waits for the jobs of the run that have begun, on any platform, and deletes the others.
/// Prints what it waits for.
void settle_jobs(Context& context, const std::string& run);

}  // namespace metaflow::cli
