// The exit codes of a process that executes a task.
#pragma once

namespace metaflow::runtime {

/// Exit codes of `step`. A task that threw has saved its values and recorded the failure in data.json.
inline constexpr int kTaskSucceeded = 0;
inline constexpr int kTaskThrew = 1;

}  // namespace metaflow::runtime
