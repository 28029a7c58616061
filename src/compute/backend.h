// Where attempts of tasks are executed: one interface for this machine and for clusters.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/usage.h"
#include "compute/step_arguments.h"
#include "store/flow_store.h"

namespace metaflow::compute {

/// Identifies an attempt between the scheduler and a backend.
using AttemptId = std::uint64_t;

/// One attempt of a task, ready to be executed.
struct Attempt {
  AttemptId id = 0;
  StepArguments step;                    // what to execute
  std::vector<std::string> environment;  // NAME=value, besides what every task gets; the last one wins
  /// Time limit of the step in microseconds; 0: none. The task enforces it; a backend kills a task that does not.
  std::int64_t time_limit = 0;
};

/// How an attempt ended, as far as a backend knows. Says nothing about the artifacts that it left.
struct Verdict {
  /// The process exited with 0: the task may be committed.
  bool exited_with_zero = false;
  /// The process exited, and was not killed. With another code than 0, a step that threw may have saved its artifacts.
  bool exited = false;
  std::optional<int> exit_code{};  // of the process, if it is known
  int signal = 0;                  // that killed the process; 0: none, or not known
  /// One sentence for the user: "Task was killed by SIGTERM (peak memory 3.1 MB)."
  std::string cause;
  /// The attempt timed out. `timeout_reported`: the task noticed its timeout, reported it and ended itself;
  /// `killed_late`: the backend killed it, since it had not ended itself.
  bool timed_out = false;
  bool timeout_reported = false;
  bool killed_late = false;
  /// A supervisor elsewhere has committed the attempt, and has stored its log.
  bool committed = false;
  bool log_stored = false;
  /// The step was called, as far as is known.
  bool began = true;
  /// How many such ends of a task are not counted as retries: it was lost with its node, and is rerun.
  int uncounted = 0;
  /// Another attempt would end in the same way: the image does not exist, the cluster denies access.
  bool hopeless = false;
  /// The process exited after the kernel had killed some of its children for lack of memory.
  bool lost_processes = false;
  base::Usage usage;
  /// The artifacts in the store, if the backend has read them (`data_read`); null: there are none.
  std::shared_ptr<const store::TaskData> data{};
  bool data_read = false;
};

/// Events that a backend reports to the scheduler, from within the event loop.
class BackendEvents {
 public:
  virtual ~BackendEvents() = default;
  /// The attempt runs; `where` is shown in its lines: "pid 4711".
  virtual void on_started(AttemptId attempt, const std::string& where) = 0;
  /// A notice for the user about unfinished attempts of one step: "Pod is pending: Unschedulable: ..." `usual`: nothing
  /// is wrong.
  virtual void on_notice(std::span<const AttemptId> attempts, std::string_view text, bool usual) = 0;
  /// A piece of its output, not necessarily whole lines.
  virtual void on_output(AttemptId attempt, store::Stream stream, std::string_view bytes) = 0;
  /// The attempt has ended, and all of its output was reported.
  virtual void on_finished(AttemptId attempt, const Verdict& verdict) = 0;
};

/// How to stop an attempt: `ask` sends SIGTERM, `force` makes sure.
enum class Stop : std::uint8_t { ask, force };

/// Lives in the scheduler's event loop, and never blocks it. Not thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Whether an attempt of this step can be started now. If not, it can when others have finished.
  virtual bool has_room(const std::string& /*step*/) const { return true; }
  /// Starts an attempt, at once or when there is room for it. An attempt that cannot be started is reported as
  /// finished, later and from the loop.
  virtual void submit(const Attempt& attempt) = 0;
  /// Stops attempts that have not finished, and ignores unknown ones. Each is reported as finished when it has ended.
  virtual void stop(std::span<const AttemptId> attempts, Stop how) = 0;
  /// Another scheduler has taken over the run. Attempts that outlive this scheduler (jobs elsewhere) are left to it,
  /// and reported as finished.
  virtual void leave() {}
  /// Called when the reader of the run's output is slow. While `held`, a backend that can do so does not read the
  /// output of attempts, so that they block.
  virtual void hold_output(bool /*held*/) {}
  /// Suspends attempts (Ctrl-Z), and resumes them. Attempts elsewhere need not stop.
  virtual void suspend() {}
  virtual void proceed() {}
  /// Called at the end of the run: removes everything that belongs to it. `ask` may wait for that a few seconds, which
  /// a forced stop() ends; `force` waits a moment at most. Throws nothing.
  virtual void end(Stop how) = 0;
};

}  // namespace metaflow::compute
