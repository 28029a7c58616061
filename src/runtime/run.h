// One run of a flow: decides what executes when.
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

/// The scheduler. The frontier knows what can start, the launcher makes attempts of it, a backend executes them, and
/// the committer makes visible what they left; this decides, when something has happened, what is next, and when the
/// run is over. A task is with one of the launcher (it waits), this (it runs) and the committer (it has ended). Lives
/// in an event loop. Not thread-safe.
class Run : public compute::BackendEvents {
 public:
  /// `parameters`: the task _parameters of the run.
  Run(RunServices services, RunOptions options, const store::TaskRef& parameters);
  ~Run() override;

  /// Clones what the origin has finished, as far as the run has come to it. For the start. Throws
  /// Error{invalid_command} if the origin does not fit the flow.
  void clone(Origin& origin);
  /// After cloning, what was and what is to come: runtime::outlook().
  std::string outlook() const;

  /// These steps are executed elsewhere. `code_package`: the value of the field that shows clients the code; empty:
  /// none.
  void mark_remote(const std::vector<std::string>& steps, std::string code_package);

  /// Executes what is left. Throws Error{step_failure} when a task failed and Error{interrupted} when stopped; no
  /// attempt is left then.
  void execute(compute::Backend& backend);

  /// Stops the run: from a signal. The second time tasks are killed, and these, the backend and the store have a last
  /// moment: the run is over within a second, whatever does not answer. Once nothing runs any more, nothing is waited
  /// for from then on.
  void interrupt(const std::string& why);
  /// It has failed, or was interrupted: nothing more is started.
  bool stopping() const { return failure_ || interrupted_ || lost_; }

  /// Before anything is written by which others are told that the run is this scheduler's: waits while it is in doubt
  /// who holds it. False: it is stopping; nothing of the kind is to be written.
  bool await_hold();
  /// RunServices::holds may have become true again.
  void go_on() { committer_.go_on(); }
  /// Another scheduler has the run, or may take it: tasks here are stopped, those elsewhere left to it, nothing more is
  /// committed. execute() throws this error then.
  void lose(const Error& why);

  void on_started(compute::AttemptId attempt, const std::string& where) override;
  void on_notice(std::span<const compute::AttemptId> attempts, std::string_view text, bool usual) override;
  void on_output(compute::AttemptId attempt, store::Stream stream, std::string_view bytes) override;
  void on_finished(compute::AttemptId attempt, const compute::Verdict& verdict) override;

 private:
  void loop();
  bool is_over() const;
  void tell_of_abandoned();
  void conclude();
  void finish_disk();
  void finish_metadata();
  void launch();
  void start(ScheduledTask task, const compute::Attempt& attempt);
  void mark_begun(compute::AttemptId attempt);
  void on_committed(EndedAttempt&& ended);
  void follow(const Ready& work, const store::TaskRef& task, const store::TaskData& data);
  bool regulate_output();
  void fail(const std::string& why);
  void stop_all();
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
  bool held_ = false;  // nothing is started until the reader has caught up
  std::optional<std::string> failure_;
  std::optional<std::string> interrupted_;
  std::optional<Error> lost_;
  bool killed_ = false;     // the user has asked twice
  bool may_wait_ = true;    // for anything: until the user has asked once too often
  bool finishing_ = false;  // nothing runs any more; the disk and the metadata are waited for
  base::Timers timers_;
};

}  // namespace metaflow::runtime
