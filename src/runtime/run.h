// One run: decides what executes when, and commits what has been executed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/detail/description.h>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/backend.h"
#include "graph/graph.h"
#include "runtime/frontier.h"
#include "runtime/origin.h"
#include "runtime/policy.h"
#include "runtime/progress.h"
#include "runtime/reporter.h"
#include "runtime/task_log.h"
#include "store/flow_store.h"
#include "store/journal.h"
#include "store/metadata.h"

namespace metaflow::runtime {

struct RunOptions {
  std::size_t max_workers = 16;  // tasks at a time
  std::uint64_t max_num_splits = 100;
  std::uint64_t max_log_size = 10;  // MB per task and stream
  std::vector<std::string> tags;
  std::string name_space;         // of the client inside tasks
  std::string branch;             // of the flow's project; empty: it has none
  std::vector<std::string> with;  // --with, for the tasks
  std::string origin_run;         // of resume
  bool origin_is_known = true;    // to the provider of the metadata: clones may refer to it
  std::string program;            // how the user called it, for what is told to try
  std::string local_root;         // the .metaflow directory of this machine
};

/// What a run needs from outside. Everything outlives the run.
struct RunServices {
  const graph::Graph& graph;
  store::FlowStore& store;
  store::BackgroundStorage& background;  // of the same storage
  store::MetadataWriter& metadata;
  store::Journal& journal;
  base::EventLoop& loop;
  base::Clock& clock;
  Reporter& reporter;
};

class Run : public compute::BackendEvents {
 public:
  /// `parameters`: the task _parameters of the run.
  Run(RunServices services, RunOptions options, const store::TaskRef& parameters);
  ~Run() override;

  /// Clones what the origin has finished, as far as the run has come to it. For the start. Throws
  /// Error{invalid_command} if the origin does not fit the flow.
  void clone(Origin& origin);
  /// After cloning, what was and what is to come: "2 tasks cloned (start, work). Next: work (3 tasks)."
  std::string outlook() const;

  /// These steps are executed elsewhere. `code_package`: the value of the field that shows clients the code; empty:
  /// none.
  void mark_remote(const std::vector<std::string>& steps, std::string code_package);

  /// Executes what is left. Throws Error{step_failure} when a task failed and Error{interrupted} when stopped; no
  /// attempt is left then.
  void execute(compute::Backend& backend);

  /// Stops the run: from a signal. The second time it does not wait.
  void interrupt(const std::string& why);
  /// It has failed, or was interrupted: nothing more is started.
  bool stopping() const { return failure_.has_value() || interrupted_.has_value(); }

  void on_started(compute::AttemptId attempt, const std::string& where) override;
  void on_notice(std::span<const compute::AttemptId> attempts, std::string_view text, bool usual) override;
  void on_output(compute::AttemptId attempt, store::Stream stream, std::string_view bytes) override;
  void on_finished(compute::AttemptId attempt, const compute::Verdict& verdict) override;

 private:
  /// A task of the run, and the attempt that it is at.
  struct Task {
    Ready work;
    store::TaskRef ref;
    std::string name;  // "17/start/1"
    int attempt = 0;
    std::string where;           // "pid 4711"
    std::optional<TaskLog> log;  // of the attempt
    std::string last_line{};     // that it printed
    bool stopped = false;        // because of another task, or the user
    int lost = 0;                // attempts that do not count: their machine was taken from them
    std::string failure_type;    // of the attempt before
    std::string failure;
    bool inputs_stored = false;  // the list of them, for its command line
    bool begun = false;          // the attempt is marked as such in the store
  };

  /// An attempt whose process has ended, while the store is read and written.
  struct Ended {
    Task task;
    compute::Verdict verdict;
    std::shared_ptr<const store::TaskData> data;  // what it left; nothing: nothing
    std::size_t awaited = 0;                      // reads and writes before it can be judged
    std::string cause;                            // of a failure
  };

  struct Repeated {
    std::int64_t period;
    std::function<void()> what;
    base::EventLoop::Timer timer;
  };

  void execute_all();
  void conclude();
  void finish_metadata();
  bool settled() const { return running_.empty() && ended_.empty() && storing_.empty(); }
  void launch();
  bool has_room(int step) const;
  bool has_id(int step, std::size_t soon);
  void start_task(Ready work);
  void start_attempt(Task task);
  void store_inputs(Task task);
  void mark_begun(compute::AttemptId attempt);
  store::TaskRef new_task(int step);
  compute::Attempt describe_attempt(const Task& task);
  void progressed(compute::AttemptId attempt);
  void judge(compute::AttemptId attempt);
  void describe_failure(Ended& ended);
  void mark_done(compute::AttemptId attempt, void (Run::*then)(compute::AttemptId));
  void make_visible(const Ended& ended);
  void succeeded(compute::AttemptId attempt);
  void attempt_failed(compute::AttemptId attempt);
  bool try_again(Task& task, const compute::Verdict& verdict);
  void follow(const Ready& work, const store::TaskRef& task, const store::TaskData& data);
  void find_items(const Position& position, store::TaskData& data) const;
  /// A task of the origin that is taken over.
  struct Adopted {
    Ready work;
    const Origin::Finished* finished;
    store::TaskData data{};
    store::TaskRef ref{};  // its clone
  };
  std::vector<Adopted> to_be_adopted(Origin& origin);
  void adopt(std::vector<Adopted>& tasks, const Origin& origin);
  bool regulate_output();
  void fail(const std::string& why);
  void stop_all();
  void say(ReportLine::Kind kind, std::string_view text);
  void say(const Task& task, std::string_view text, ReportLine::Kind kind = ReportLine::Kind::task);
  void show_progress();
  void arm(Repeated& repeated);
  void repeat(std::int64_t period, std::function<void()> what);
  std::vector<compute::AttemptId> running_ids() const;
  std::int64_t now() const { return services_.clock.wall_microseconds(); }
  StepProgress& progress(int step) { return progress_[static_cast<std::size_t>(step)]; }
  AttemptPolicy policy(const Task& task) const;

  RunServices services_;
  RunOptions options_;
  std::string run_id_;
  std::vector<AttemptPolicy> policies_;  // per step
  std::vector<bool> remote_;             // per step: executed elsewhere
  std::string code_package_;
  Frontier frontier_;
  base::Stamps log_stamps_;
  compute::Backend* backend_ = nullptr;
  std::deque<Task> again_;                          // to be tried again now
  std::map<base::EventLoop::Timer, Task> pausing_;  // to be tried again later
  std::map<compute::AttemptId, Task> storing_;      // whose inputs are being stored; they start when that is done
  std::map<compute::AttemptId, Task> running_;
  std::map<compute::AttemptId, Ended> ended_;
  bool awaits_id_ = false;  // of the next task
  bool held_ = false;       // nothing is started until the reader has caught up
  compute::AttemptId next_attempt_ = 1;
  std::vector<StepProgress> progress_;  // per step
  std::optional<std::string> failure_;
  std::optional<std::string> interrupted_;
  bool finishing_ = false;  // nothing runs any more; the metadata is waited for
  bool impatient_ = false;  // it is not any more, or the store is not
  bool killed_ = false;     // the user has asked twice
  std::size_t stopped_tasks_ = 0;
  std::deque<Repeated> repeated_;
  std::optional<base::EventLoop::Timer> patience_;  // with tasks that were asked to stop
  std::optional<base::EventLoop::Timer> farewell_;  // with the store, when they were killed
  std::int64_t shown_at_ = 0;
};

/// What clients are told of: without what only `resume` needs.
store::TaskData visible(store::TaskData data);

}  // namespace metaflow::runtime
