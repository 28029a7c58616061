// Where attempts of tasks are executed: one interface for this machine and for clusters.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/usage.h"
#include "compute/step_arguments.h"
#include "store/flow_store.h"

namespace metaflow::compute {

/// Names an attempt between the scheduler and a backend.
using AttemptId = std::uint64_t;

/// One try of one task, ready to be executed.
struct Attempt {
  AttemptId id = 0;
  StepArguments step;                    // what to execute
  std::vector<std::string> environment;  // NAME=value, besides what every task gets; the last counts
  /// Microseconds that the step may take; 0: as long as it likes. It ends itself; a backend kills one that does not.
  std::int64_t time_limit = 0;
};

/// How an attempt ended, as far as a backend knows: not whether what it left is any good.
struct Verdict {
  /// The process ended with status 0: the task may be committed.
  bool exited_with_zero = false;
  /// Otherwise: the process ended by itself with another status, so a step that threw may have saved what it had.
  bool exited = false;
  /// For people, one sentence: "Task was killed by SIGTERM (peak memory 3.1 MB)."
  std::string cause;
  /// The attempt ended because its time was up: by itself, having said so, if `timeout_reported`; in another way, if
  /// `killed_late` since it did not end by itself.
  bool timed_out = false;
  bool timeout_reported = false;
  bool killed_late = false;
  /// Its supervisor elsewhere has made visible what it left, and has stored its log.
  bool committed = false;
  bool log_stored = false;
  /// The step was called, as far as is known.
  bool began = true;
  /// How many such ends of a task do not count: it was lost with its machine, and is executed again.
  int uncounted = 0;
  /// Another attempt would end in the same way: the image does not exist, the cluster does not let us.
  bool hopeless = false;
  /// It ended by itself, after the kernel had killed others of its processes for lack of memory.
  bool lost_processes = false;
  base::Usage usage;
  /// What it left in the store, if the backend has read it (`data_read`); nothing: it left nothing.
  std::shared_ptr<const store::TaskData> data{};
  bool data_read = false;
};

/// What a backend tells the scheduler, from within the event loop.
class BackendEvents {
 public:
  virtual ~BackendEvents() = default;
  /// The attempt runs; `where` goes into its lines: "pid 4711".
  virtual void on_started(AttemptId attempt, const std::string& where) = 0;
  /// Something that people should know of attempts of one step that go on: "Pod is pending: Unschedulable: ..."
  /// `usual`: nothing is wrong.
  virtual void on_notice(std::span<const AttemptId> attempts, std::string_view text, bool usual) = 0;
  /// A piece of its output, not necessarily whole lines.
  virtual void on_output(AttemptId attempt, store::Stream stream, std::string_view bytes) = 0;
  /// It has ended; all its output has been told.
  virtual void on_finished(AttemptId attempt, const Verdict& verdict) = 0;
};

/// How urgently to stop: ask (SIGTERM), or make sure.
enum class Stop : std::uint8_t { ask, force };

/// Not thread-safe: lives in the scheduler's event loop, never blocks it.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Whether an attempt of this step can be started now; else when others have finished.
  virtual bool has_room(const std::string& /*step*/) const { return true; }
  /// Starts an attempt, at once or when there is room for it. One that cannot be started is told as finished, later,
  /// from the loop.
  virtual void submit(const Attempt& attempt) = 0;
  /// Stops attempts that have not finished; ignores those that it does not know. They are told as finished when they
  /// have.
  virtual void stop(std::span<const AttemptId> attempts, Stop how) = 0;
  /// The run is another scheduler's now: attempts that outlive this one (jobs elsewhere) are left to it, and told as
  /// finished.
  virtual void leave() {}
  /// The reader of the run's output is slow. While `held`, a backend that can do so does not read what attempts print,
  /// so that they block.
  virtual void hold_output(bool /*held*/) {}
  /// Stops attempts in their tracks (Ctrl-Z), and lets them go on. What is executed elsewhere need not stop.
  virtual void suspend() {}
  virtual void proceed() {}
  /// The run is over: nothing that belongs to it may remain. Asked, it may wait for that a few seconds, which a forced
  /// stop() ends; forced, a moment at the most. Throws nothing.
  virtual void end(Stop how) = 0;
};

}  // namespace metaflow::compute
