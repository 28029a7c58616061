// Executes one task in this process: loads the artifacts, calls the step, saves.
#pragma once

#include <metaflow/detail/description.h>
#include <metaflow/detail/table.h>

#include "compute/step_arguments.h"
#include "graph/decorators.h"

namespace metaflow::runtime {

/// `command`: the words that start this program again (base::own_command). Returns the exit status; what went wrong has
/// been written to the standard error stream.
int execute_task(const detail::FlowTable& members, const detail::FlowDescription& flow,
                 const graph::DecoratorTable& table, const compute::StepArguments& arguments,
                 const std::vector<std::string>& command);

}  // namespace metaflow::runtime
