// How users name runs, steps and tasks. All commands use the same names.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "store/names.h"

namespace metaflow::cli {

/// In place of a value of a class that C++ does not read.
inline constexpr const char* kOnlyPython = "< only Python can read it >";

/// The id of a run. `name` is, with or without the flow's name before it,
/// - the id,
/// - `latest`: the run that was started or resumed last in this store,
/// - `latest-failed`: the newest run that failed, was interrupted, or whose scheduler died,
/// - the begin of the id of exactly one run, at least four characters.
/// An id has precedence. The run need not exist: a name that matches nothing is returned as it is. Throws
/// Error{not_found} if `latest` or `latest-failed` names no run, and Error{invalid_command} if several runs match.
std::string run_of_name(Context& context, const std::string& name);

/// The tasks that a path names, at least one, oldest first. The path is RUN/STEP, RUN/STEP/TASK or RUN/STEP[INDEX] with
/// an index in the foreach. Throws Error{invalid_command, not_found}.
std::vector<store::TaskRef> tasks_of_path(Context& context, const std::string& path);

/// Like tasks_of_path, for exactly one task. A task that is named by its id need not exist.
store::TaskRef task_of_path(Context& context, const std::string& path);

}  // namespace metaflow::cli
