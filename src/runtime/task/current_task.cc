#include "runtime/task/current_task.h"

#include <algorithm>

#include <metaflow/error.h>

#include "base/cpus.h"
#include "base/format.h"
#include "store/foreach.h"

namespace metaflow {

namespace runtime {

CurrentTask*& current_task() {
  static CurrentTask* task = nullptr;
  return task;
}

}  // namespace runtime

const Current& current() {
  const auto* task = runtime::current_task();
  if (task == nullptr)
    throw Error(ErrorCode::invalid_command,
                "metaflow::current() describes the running task, but no step is running in this process");
  return task->current;
}

unsigned Current::cpus() const {
  const auto* task = runtime::current_task();
  const double wish = task != nullptr ? task->wanted_cpus() : 0;
  const unsigned available = base::available_cpus();
  return wish <= 0 ? available : std::clamp(static_cast<unsigned>(wish), 1U, available);
}

std::string Current::pathspec() const { return flow_name + "/" + run_id + "/" + step_name + "/" + task_id; }

std::optional<std::size_t> Current::index() const {
  if (foreach_stack.empty()) return std::nullopt;
  return foreach_stack.back().index;
}

Document Current::read_item(std::string_view variable) const {
  const auto* task = runtime::current_task();
  if (task == nullptr)
    throw Error(ErrorCode::invalid_command, "The item of a foreach can be read only while a step is running");
  for (std::size_t i = foreach_stack.size(); i-- > 0;) {
    if (!variable.empty() && foreach_stack[i].variable != variable) continue;
    if (i >= task->items.size()) break;
    return store::read_foreach_item(*task->store, task->items[i], foreach_stack[i].index);
  }
  throw Error(ErrorCode::not_found,
              variable.empty() ? fmt::format("Step {} is not inside a foreach, so there is no item", step_name)
                               : fmt::format("Step {} is not inside a foreach over '{}'", step_name, variable));
}

}  // namespace metaflow
