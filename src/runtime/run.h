// One run: decides what executes when, and commits what has been executed.
#pragma once

#include <metaflow/detail/description.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/backend.h"
#include "graph/graph.h"
#include "runtime/reporter.h"
#include "runtime/splits.h"
#include "runtime/task_log.h"
#include "store/flow_store.h"
#include "store/metadata.h"

namespace metaflow::runtime {

struct RunOptions {
  std::size_t max_workers = 16;  // tasks at a time
  std::uint64_t max_num_splits = 100;
  std::uint64_t max_log_size = 10;  // MB per task and stream
  std::vector<std::string> tags;
  std::string name_space;         // of the client inside tasks
  std::vector<std::string> with;  // --with, for the tasks
};

/// What a run needs from outside. Everything outlives the run.
struct RunServices {
  const graph::Graph& graph;
  store::FlowStore& store;
  store::MetadataWriter& metadata;
  base::EventLoop& loop;
  base::Clock& clock;
  Reporter& reporter;
};

class Run : public compute::BackendEvents {
 public:
  Run(RunServices services, RunOptions options, std::string run_id);
  ~Run() override;

  /// Executes the flow from its parameters on. Throws Error{step_failure} when a task failed and Error{interrupted}
  /// when stopped; no attempt is left then.
  void execute(compute::Backend& backend);

  /// Stops the run: from a signal. The second time it does not wait.
  void interrupt(const std::string& why);

  void on_started(compute::AttemptId attempt, const std::string& where) override;
  void on_output(compute::AttemptId attempt, store::Stream stream, std::string_view bytes) override;
  void on_finished(compute::AttemptId attempt, const compute::Verdict& verdict) override;

 private:
  /// A task that can start.
  struct Ready {
    int step;
    std::vector<store::TaskRef> inputs;
    Position position;
    std::optional<std::size_t> split_index;  // the first task in a foreach
    std::string joined_split;                // of a join: the task that split
  };
  /// The tasks of a foreach, made one after the other when there is room.
  struct FanOut {
    std::shared_ptr<Split> split;
    int step;
    std::size_t next = 0;
  };
  /// A task that executes.
  struct Task {
    Ready work;
    store::TaskRef ref;
    int attempt = 0;
    std::string name;   // "17/start/1"
    std::string where;  // "pid 4711"
    TaskLog log;
    bool stopped = false;
  };
  struct Progress {
    std::size_t running = 0;
    std::size_t done = 0;
    std::size_t failed = 0;
    std::size_t expected = 0;  // as far as known
    bool started = false;
  };

  void execute_all();
  void conclude();
  void launch();
  void start_task(Ready work);
  store::TaskRef new_task(int step);
  std::string execution_path(const Position& position) const;
  void commit(Task& task, const store::TaskData& data);
  void follow(const Task& task, const store::TaskData& data);
  void arrive(const Position& position, int step, const store::TaskRef& task, int join);
  void fail(const Task& task, const std::string& more);
  void stop_all();
  void say(ReportLine::Kind kind, std::string_view text);
  void say(const Task& task, std::string_view text);
  void show_progress();
  void every_five_minutes();
  bool stopping() const { return failure_.has_value() || interrupted_.has_value(); }
  Progress& progress(int step) { return progress_[static_cast<std::size_t>(step)]; }

  RunServices services_;
  RunOptions options_;
  std::string run_id_;
  base::Stamps log_stamps_;
  compute::Backend* backend_ = nullptr;
  std::deque<std::variant<Ready, FanOut>> queue_;
  std::map<compute::AttemptId, Task> running_;
  compute::AttemptId next_attempt_ = 1;
  std::vector<Progress> progress_;  // per step
  bool ended_ = false;              // the last step has finished
  std::optional<std::string> failure_;
  std::optional<std::string> interrupted_;
  std::size_t stopped_tasks_ = 0;
  std::vector<base::EventLoop::Timer> timers_;
  std::int64_t shown_at_ = 0;
};

}  // namespace metaflow::runtime
