// The platform's part of RemoteAttempts: it creates jobs, removes them, shows their logs and reports their states.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "compute/backend.h"
#include "compute/remote/job_end.h"

namespace metaflow::compute {

/// An attempt to be submitted as a job.
struct JobOrder {
  std::shared_ptr<const Attempt> attempt{};
  int tries = 0;          // earlier jobs of the attempt, whose task did not begin
  bool new_link = false;  // the last of these could not fetch the flow's package

  AttemptId id() const { return attempt->id; }
};

/// The state of a job.
struct JobState {
  enum class Phase : std::uint8_t { waiting, running, ended };
  Phase phase = Phase::waiting;
  /// Why a job waits, if that is not as usual; or what is wrong with the node of one that runs. Empty: nothing.
  std::string trouble{};
  /// The same as a sentence for the user: "Pod is pending: Unschedulable: ..."
  std::string notice{};
  /// Waiting does not help: the flow or the platform must be changed.
  bool hopeless = false;
  /// Of a job that runs, for the user: "Pod is running on node n1."
  std::string where{};
  JobEnd end{};  // of one that has ended
};

/// The log of a job, shown live.
class LiveLog {
 public:
  virtual ~LiveLog() = default;
  /// Called when the job has ended. Returns whether the whole log was reported. If not, JobEvents::on_log_end follows.
  virtual bool finish() = 0;
  /// Stops reporting.
  virtual void stop() = 0;
  /// Whether the log that the supervisor stored is needed at the end.
  virtual bool needs_stored_log() const = 0;
  /// Returns what was not reported yet of the stored log.
  virtual std::string_view rest(store::Stream stream, std::string_view whole) const = 0;
};

/// Events of a platform's jobs, reported from within the event loop, never from within a call of RemoteJobs. Events of
/// an attempt that is over are ignored.
class JobEvents {
 public:
  virtual ~JobEvents() = default;
  /// There is a job for the attempt, which the user knows by this name. Repeated events are ignored.
  virtual void on_job(AttemptId attempt, const std::string& name) = 0;
  /// There is no job (any more), and no result to look for. `hopeless`: another attempt would end in the same way.
  virtual void on_no_job(AttemptId attempt, const std::string& cause, bool hopeless) = 0;
  virtual void on_state(AttemptId attempt, JobState&& state) = 0;
  /// A removal was answered, with success or not. `is_gone`: nothing of the job runs (any more), or ever did;
  /// otherwise, on_state will report its end.
  virtual void on_removed(AttemptId attempt, bool is_gone) = 0;
  virtual void on_log(AttemptId attempt, store::Stream stream, std::string_view bytes) = 0;
  /// `whole`: the log was read to its end. Otherwise, the rest is not available. The LiveLog may be destroyed when this
  /// returns.
  virtual void on_log_end(AttemptId attempt, bool whole) = 0;
  /// A temporary problem of these attempts: a service that does not answer.
  virtual void on_trouble(std::span<const AttemptId> attempts, const std::string& words) = 0;
};

/// Not thread-safe; lives in the scheduler's event loop, never blocks it. Answers come by JobEvents.
class RemoteJobs {
 public:
  virtual ~RemoteJobs() = default;

  /// Creates a job. Answer: on_job or on_no_job, and from then on on_state.
  virtual void submit(const JobOrder& order) = 0;
  /// Removes the jobs of attempts, or withdraws those that were not sent yet. Answer: on_removed, for each.
  virtual void remove(std::span<const AttemptId> attempts) = 0;
  /// Reads the state of a job that waits and is about to be abandoned. `done`: called once, unless the attempt ends
  /// before.
  virtual void observe(AttemptId attempt, std::function<void(const JobState&)> done) = 0;
  /// Shows the log of a job that runs; null: the platform has no better log than the one that the supervisor stores.
  virtual std::unique_ptr<LiveLog> follow(AttemptId /*attempt*/) { return nullptr; }
  /// Ignores all further events of the attempt: it is over, or gets another job. Removes a job whose creation was not
  /// answered yet.
  virtual void forget(AttemptId attempt) = 0;
  /// Reads what the platform itself has kept of a job's output, if the supervisor stored no log. Reported by on_log;
  /// then by `done`, which gets the reason of a failure.
  virtual void read_kept_log(AttemptId attempt, std::function<void(const std::string& failure)> done) = 0;
  /// Called at the end of the run: removes everything that belongs to it. `done`: called when all requests were
  /// answered.
  virtual void end(std::function<void()> done) = 0;
};

}  // namespace metaflow::compute
