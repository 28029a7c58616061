// Makes attempts of the tasks that can start, and of the tasks that are retried.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/timers.h"
#include "compute/backend.h"
#include "runtime/frontier.h"
#include "runtime/new_tasks.h"
#include "runtime/policy.h"
#include "runtime/run_report.h"
#include "runtime/scheduled_task.h"

namespace metaflow::runtime {

/// Owns the tasks that wait: for a retry, for the delay before it, or until the list of their inputs is in the store.
/// New tasks come from the frontier. Not thread-safe.
class Launcher {
 public:
  /// Takes over a task whose attempt can be executed.
  using Start = std::function<void(ScheduledTask task, const compute::Attempt& attempt)>;

  /// All arguments outlive this object.
  Launcher(const RunServices& services, const RunOptions& options, Frontier& frontier, NewTasks& tasks,
           RunReport& report, Start start);

  /// These steps are not executed on this machine. `code_package`: the value of the metadata field that shows clients
  /// the code; empty: none.
  void mark_remote(const std::vector<std::string>& steps, std::string code_package);

  /// Starts the next task if there is room for it; returns false if none can start. The order is strict: a task that
  /// does not fit holds up those behind it, or a task that needs the whole machine would never start. `workers`: how
  /// many more tasks may run. Throws the errors of the store and the metadata.
  bool start_next(const compute::Backend& backend, std::size_t workers);

  /// Takes over a task whose attempt has failed, if it may have another attempt. Returns false if not; then the caller
  /// keeps it.
  bool retry_or_rerun(ScheduledTask& task, const compute::Verdict& verdict);

  /// The number of tasks whose list of inputs is being stored.
  std::size_t storing() const { return storing_.size(); }
  /// Whether no task is left to start.
  bool empty() const;

 private:
  void start_task(Ready work);
  void start_attempt(ScheduledTask task);
  void store_inputs(ScheduledTask task);
  void update_metadata(const ScheduledTask& task);
  compute::Attempt describe_attempt(const ScheduledTask& task);

  const RunServices& services_;
  const RunOptions& options_;
  Frontier& frontier_;
  NewTasks& tasks_;
  RunReport& report_;
  Start start_;
  std::vector<AttemptPolicy> policies_;  // per step
  std::vector<bool> remote_;             // per step: not executed on this machine
  std::string code_package_;
  base::Stamps log_stamps_;
  compute::AttemptId next_attempt_ = 1;
  std::deque<ScheduledTask> to_start_;  // before those of the frontier: retries, and tasks whose inputs are stored
  std::map<base::Timers::Timer, ScheduledTask> delayed_;  // retried after a delay
  std::map<compute::AttemptId, ScheduledTask> storing_;   // whose inputs are being stored
  base::Timers timers_;
};

}  // namespace metaflow::runtime
