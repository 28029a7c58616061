// The scheduler of one run.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/error.h>

#include "base/timers.h"
#include "compute/backend.h"
#include "runtime/committer.h"
#include "runtime/frontier.h"
#include "runtime/launcher.h"
#include "runtime/new_tasks.h"
#include "runtime/origin.h"
#include "runtime/run_report.h"
#include "runtime/run_services.h"
#include "runtime/scheduled_task.h"

namespace metaflow::runtime {

/// Decides which task executes when. The frontier knows which tasks can start, the launcher makes attempts of them, a
/// backend executes the attempts, and the committer makes their results visible. After each event, Run decides what
/// follows and whether the run has ended. A task belongs to the launcher while it waits, to Run while it runs, and to
/// the committer after it has ended. Lives in an event loop. Not thread-safe.
class Run : public compute::BackendEvents {
 public:
  /// `parameters`: the task _parameters of the run.
  Run(RunServices services, RunOptions options, const store::TaskRef& parameters);
  ~Run() override;

  /// Clones the tasks that the origin has finished, as far as the run has reached them. Called before execute(). Throws
  /// Error{invalid_command} if the origin does not match the flow.
  void clone(Origin& origin);
  /// After cloning, the cloned tasks and those to execute: runtime::outlook().
  std::string outlook() const;

  /// These steps are not executed on this machine. `code_package`: the value of the metadata field that shows clients
  /// the code; empty: none.
  void mark_remote(const std::vector<std::string>& steps, std::string code_package);

  /// Executes the remaining tasks. Throws Error{step_failure} if a task failed and Error{interrupted} if the run was
  /// stopped; then no attempt is running.
  void execute(compute::Backend& backend);

  /// Stops the run; called for a signal. The second call kills the tasks and limits the wait for tasks, backend and
  /// store: the run ends within a second, whatever does not answer. If no task is running, the second call ends every
  /// wait.
  void interrupt(const std::string& why);
  /// The run has failed, was interrupted or lost: no more tasks are started.
  bool stopping() const { return failure_ || interrupted_ || lost_; }

  /// Whether the last event was emitted. If not, the caller emits it when execute() throws.
  bool concluded() const { return concluded_; }
  /// The attempts so far.
  const RunTotals& totals() const { return report_.totals(); }

  /// Called before writing anything that tells others that this scheduler holds the run: waits while that is in doubt.
  /// Returns false if the run is stopping; then nothing of the kind may be written.
  bool await_hold();
  /// Called when RunServices::holds may have become true again.
  void resume_commits() { committer_.resume_commits(); }
  /// Another scheduler has taken over the run, or may do so. Tasks on this machine are stopped, those elsewhere are
  /// left to it, and nothing more is committed. execute() then throws this error.
  void lose(const Error& why);

  void on_started(compute::AttemptId attempt, const std::string& where) override;
  void on_notice(std::span<const compute::AttemptId> attempts, std::string_view text, bool usual) override;
  void on_output(compute::AttemptId attempt, store::Stream stream, std::string_view bytes) override;
  void on_finished(compute::AttemptId attempt, const compute::Verdict& verdict) override;

 private:
  void loop();
  bool is_over() const;
  void report_abandoned();
  void conclude();
  void end_report(store::RunEnd how, const std::string& why);
  void finish_disk();
  void finish_metadata();
  void launch();
  void start(ScheduledTask task, const compute::Attempt& attempt);
  void mark_begun(compute::AttemptId attempt);
  void on_committed(EndedAttempt&& ended);
  void follow(const Ready& work, const store::TaskRef& task, const store::TaskData& data,
              std::shared_ptr<const store::ItemLabels> labels);
  bool regulate_output();
  void fail(const std::string& why);
  void stop_all(const std::string& why);
  std::vector<compute::AttemptId> running_ids() const;

  RunServices services_;
  RunOptions options_;
  RunReport report_;
  Frontier frontier_;
  NewTasks tasks_;
  Launcher launcher_;
  Committer committer_;
  compute::Backend* backend_ = nullptr;
  std::map<compute::AttemptId, ScheduledTask> running_;
  bool held_ = false;  // no task is started until the reader has caught up
  std::optional<std::string> failure_;
  std::optional<std::string> interrupted_;
  std::optional<Error> lost_;
  bool killed_ = false;     // interrupted twice
  bool may_wait_ = true;    // false once the run may not wait for anything
  bool finishing_ = false;  // no task is running; only the disk and the metadata are waited for
  bool concluded_ = false;
  base::Timers timers_;
};

}  // namespace metaflow::runtime
