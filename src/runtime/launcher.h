// Makes attempts of what can be started, and of what is to be tried again.
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

/// Has the tasks that wait: for another attempt, for the end of a pause before it, or for the list of their inputs to
/// be in the store. New ones come from the frontier. Not thread-safe.
class Launcher {
 public:
  /// Takes over a task whose attempt is ready to be executed.
  using Start = std::function<void(ScheduledTask task, const compute::Attempt& attempt)>;

  /// All outlives this.
  Launcher(const RunServices& services, const RunOptions& options, Frontier& frontier, NewTasks& tasks,
           RunReport& report, Start start);

  /// These steps are executed elsewhere. `code_package`: the value of the field that shows clients the code; empty:
  /// none.
  void mark_remote(const std::vector<std::string>& steps, std::string code_package);

  /// Goes on with the task whose turn it is, if it can start now: false if none can. Strictly in order: what does not
  /// fit now holds up what comes after it, or a task that needs the whole machine would never get it. `workers`: how
  /// many more tasks may run. Throws what the store and the metadata throw.
  bool start_next(const compute::Backend& backend, std::size_t workers);

  /// Takes a task whose attempt has failed, if it may have another one. False: it stays the caller's.
  bool try_again(ScheduledTask& task, const compute::Verdict& verdict);

  /// How many tasks wait for the list of their inputs to be stored.
  std::size_t storing() const { return storing_.size(); }
  /// Whether nothing is left to be started.
  bool empty() const;

 private:
  void start_task(Ready work);
  void start_attempt(ScheduledTask task);
  void store_inputs(ScheduledTask task);
  void tell_metadata(const ScheduledTask& task);
  compute::Attempt describe_attempt(const ScheduledTask& task);

  const RunServices& services_;
  const RunOptions& options_;
  Frontier& frontier_;
  NewTasks& tasks_;
  RunReport& report_;
  Start start_;
  std::vector<AttemptPolicy> policies_;  // per step
  std::vector<bool> remote_;             // per step: executed elsewhere
  std::string code_package_;
  base::Stamps log_stamps_;
  compute::AttemptId next_attempt_ = 1;
  std::deque<ScheduledTask> again_;                       // to be tried again now
  std::map<base::Timers::Timer, ScheduledTask> pausing_;  // to be tried again later
  std::map<compute::AttemptId, ScheduledTask> storing_;   // whose inputs are being stored; they start when that is done
  base::Timers timers_;
};

}  // namespace metaflow::runtime
