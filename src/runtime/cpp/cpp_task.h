// Executes a task whose step is written in C++: loads the members of a flow object, calls the step, saves the members.
#pragma once

#include <string>
#include <vector>

#include <metaflow/detail/description.h>
#include <metaflow/detail/table.h>

#include "compute/step_arguments.h"
#include "graph/decorators.h"

namespace metaflow::runtime {

/// See Language::execute_task. `table`: of the flow that is described.
int execute_cpp_task(const detail::FlowTable& table, const detail::FlowDescription& flow,
                     const graph::DecoratorTable& decorators, const compute::StepArguments& arguments,
                     const std::vector<std::string>& command);

}  // namespace metaflow::runtime
