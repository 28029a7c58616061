// The jobs that runs have on platforms: list, kill, and what `resume` has to know of them.
#pragma once

#include <string>

#include "cli/command_line.h"
#include "cli/context.h"

namespace metaflow::cli {

/// The group of commands of a platform with jobs, with the reference's options.
Command job_commands(Context& context, const compute::Platform& platform);

/// Before `resume`: jobs of the run that have begun, on any platform, are waited for, the others deleted. Says so.
void settle_jobs(Context& context, const std::string& run);

}  // namespace metaflow::cli
