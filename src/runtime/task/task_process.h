// What the process of a task does first, in any language.
#pragma once

#include <string>

namespace metaflow::runtime {

/// Binds this process to its scheduler (METAFLOW_SCHEDULER_PID), makes it the first victim when memory runs out, and
/// applies the memory limit of its task. Throws what apply_memory_limit() throws.
void prepare_task_process(const std::string& step);

}  // namespace metaflow::runtime
