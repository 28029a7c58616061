// Executes one task in this process: loads the artifacts, calls the step, saves.
#pragma once

#include <metaflow/detail/description.h>

#include "compute/step_arguments.h"
#include "graph/decorators.h"

namespace metaflow::runtime {

/// Exit statuses of `step`. A task that threw has saved what it had, and says so in data.json.
inline constexpr int kTaskSucceeded = 0;
inline constexpr int kTaskThrew = 1;

/// `command`: the words that start this program again (base::own_command). Returns the exit status; what went wrong has
/// been written to the standard error stream.
int execute_task(const detail::FlowDescription& flow, const graph::DecoratorTable& table,
                 const compute::StepArguments& arguments, const std::vector<std::string>& command);

}  // namespace metaflow::runtime
