// How users name runs, steps and tasks: one way, for all commands.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "store/names.h"

namespace metaflow::cli {

/// A run: its id, maybe behind the flow's name, or `latest`, the one that was begun or resumed last here. It need not
/// be there. Throws Error{not_found} for `latest` if there is none.
std::string run_of_name(Context& context, const std::string& name);

/// RUN/STEP or RUN/STEP/TASK; instead of the task, the step may have its index in the foreach: RUN/STEP[INDEX]. The
/// tasks it names, one at least, oldest first. Throws Error{invalid_command, not_found}.
std::vector<store::TaskRef> tasks_of_path(Context& context, const std::string& path);

/// The same for one task, which need not be there if it is named by its id.
store::TaskRef task_of_path(Context& context, const std::string& path);

}  // namespace metaflow::cli
