// How a process that executes a task says how the task ended.
#pragma once

namespace metaflow::runtime {

/// Exit statuses of `step`. A task that threw has saved what it had, and says so in data.json.
inline constexpr int kTaskSucceeded = 0;
inline constexpr int kTaskThrew = 1;

}  // namespace metaflow::runtime
