#include "runtime/task/task_process.h"

#include <cstdlib>

#include "base/failure_points.h"
#include "base/process.h"
#include "runtime/task/memory.h"

namespace metaflow::runtime {

void prepare_task_process(const std::string& step) {
  base::failure_points_in_task(step);
  base::prefer_as_oom_victim();
  if (const char* scheduler = std::getenv("METAFLOW_SCHEDULER_PID")) base::die_with_parent(std::atoi(scheduler));
  apply_memory_limit();
}

}  // namespace metaflow::runtime
