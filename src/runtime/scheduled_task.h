// A task of a run that is being executed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/frontier.h"
#include "runtime/policy.h"
#include "runtime/task_log.h"

namespace metaflow::runtime {

/// A task and its current attempt. It moves from one part of the run to the next; the part that holds it decides what
/// happens to it.
struct ScheduledTask {
  Ready work{};
  store::TaskRef ref{};
  std::string name{};                  // "17/start/1"
  std::vector<std::size_t> indices{};  // its items of the foreachs around it, outermost first
  std::string label{};                 // of these items; empty: it has none
  AttemptPolicy policy{};              // with one more attempt for each that does not count
  int attempt = 0;
  int lost = 0;                // attempts that do not count: their node was lost
  std::string failure_type{};  // of the previous attempt
  std::string failure{};
  bool inputs_stored = false;  // the list of its inputs is in the store

  // The current attempt:
  bool elsewhere = false;        // not executed on this machine
  std::string where{};           // "pid 4711"
  std::optional<TaskLog> log{};  // null until the attempt is submitted
  std::string last_line{};       // the last line of its output
  bool stopped = false;          // because of another task, or the user
  bool begun = false;            // its begin mark is in the store
  std::int64_t started = 0;      // microseconds, monotonic; 0: not yet

  bool is_fallback() const { return policy.is_fallback(attempt); }
};

}  // namespace metaflow::runtime
