// A task of a run that is being executed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/frontier.h"
#include "runtime/policy.h"
#include "runtime/task_log.h"

namespace metaflow::runtime {

/// A task, and the attempt that it is at. It is moved from one part of the run to the next: whoever has it decides what
/// becomes of it.
struct ScheduledTask {
  Ready work{};
  store::TaskRef ref{};
  std::string name{};      // "17/start/1"
  AttemptPolicy policy{};  // with an attempt more for each that does not count
  int attempt = 0;
  int lost = 0;                // attempts that do not count: their machine was taken from them
  std::string failure_type{};  // of the attempt before
  std::string failure{};
  bool inputs_stored = false;  // the list of them, for its command line

  // Of the attempt.
  bool elsewhere = false;        // it is not executed on this machine
  std::string where{};           // "pid 4711"
  std::optional<TaskLog> log{};  // nothing until it is submitted
  std::string last_line{};       // that it printed
  bool stopped = false;          // because of another task, or the user
  bool begun = false;            // it is marked as such in the store

  bool is_fallback() const { return policy.is_fallback(attempt); }
};

}  // namespace metaflow::runtime
