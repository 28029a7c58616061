// What a platform does for the attempts that RemoteAttempts leads through their life: it makes jobs, removes them,
// shows their logs, and tells what becomes of them.
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

/// An attempt that is to become a job.
struct JobOrder {
  std::shared_ptr<const Attempt> attempt{};
  int tries = 0;          // earlier jobs of it, whose task did not begin
  bool new_link = false;  // the last of these could not fetch the flow's package

  AttemptId id() const { return attempt->id; }
};

/// What a job is at.
struct JobState {
  enum class Phase : std::uint8_t { waiting, running, ended };
  Phase phase = Phase::waiting;
  /// Of one that waits: for what, if that is not as usual; of one that runs: what is wrong with its machine. Empty:
  /// nothing.
  std::string trouble{};
  /// The same as a sentence for people: "Pod is pending: Unschedulable: ..."
  std::string notice{};
  /// Waiting does not help: only somebody who changes the flow, or the platform, can.
  bool hopeless = false;
  /// Of one that runs, for people: "Pod is running on node n1."
  std::string where{};
  JobEnd end{};  // of one that has ended
};

/// The log of a job while it is written.
class LiveLog {
 public:
  virtual ~LiveLog() = default;
  /// The job has ended: whether all of it has been told. If not, JobEvents::on_log_end comes.
  virtual bool finish() = 0;
  /// Nothing more is told.
  virtual void stop() = 0;
  /// Whether what the supervisor stored is needed at the end.
  virtual bool needs_stored_log() const = 0;
  /// What was not told yet of the stored log.
  virtual std::string_view rest(store::Stream stream, std::string_view whole) const = 0;
};

/// What a platform tells of its jobs, from within the event loop; never from within a call of RemoteJobs. What is told
/// of an attempt that is over is ignored.
class JobEvents {
 public:
  virtual ~JobEvents() = default;
  /// There is a job for the attempt, which people know by this name. Told again, it is ignored.
  virtual void on_job(AttemptId attempt, const std::string& name) = 0;
  /// There is none (any more), and no result of one to look for. `hopeless`: another attempt would end likewise.
  virtual void on_no_job(AttemptId attempt, const std::string& cause, bool hopeless) = 0;
  virtual void on_state(AttemptId attempt, JobState&& state) = 0;
  /// A removal was answered, whatever the answer was. `is_gone`: nothing of the job runs (any more), or ever did; else
  /// on_state will tell of its end.
  virtual void on_removed(AttemptId attempt, bool is_gone) = 0;
  virtual void on_log(AttemptId attempt, store::Stream stream, std::string_view bytes) = 0;
  /// `whole`: up to its end. Else the rest is not to be had. The LiveLog may be gone when this returns.
  virtual void on_log_end(AttemptId attempt, bool whole) = 0;
  /// What concerns these attempts for a while: a service that does not answer.
  virtual void on_trouble(std::span<const AttemptId> attempts, const std::string& words) = 0;
};

/// Not thread-safe; lives in the scheduler's event loop, never blocks it. Answers come by JobEvents.
class RemoteJobs {
 public:
  virtual ~RemoteJobs() = default;

  /// Makes a job. Answer: on_job or on_no_job, and from then on on_state.
  virtual void submit(const JobOrder& order) = 0;
  /// Removes the jobs of attempts, or takes back what was not sent yet. Answer: on_removed, for each.
  virtual void remove(std::span<const AttemptId> attempts) = 0;
  /// Asks what a job is at that waits and is given up. `told`: called once, unless the attempt is over before.
  virtual void observe(AttemptId attempt, std::function<void(const JobState&)> told) = 0;
  /// Shows the log of a job that runs; null: the platform has nothing better than what the supervisor stores.
  virtual std::unique_ptr<LiveLog> follow(AttemptId /*attempt*/) { return nullptr; }
  /// Nothing that is told of the attempt matters any more: it is over, or gets another job. A job that may yet come to
  /// be is removed.
  virtual void forget(AttemptId attempt) = 0;
  /// What the platform itself has kept of what a job wrote whose supervisor stored no log. Told by on_log; then `done`,
  /// which says why it is not known.
  virtual void read_kept_log(AttemptId attempt, std::function<void(const std::string& failure)> done) = 0;
  /// The run is over: nothing that belongs to it may remain. `done`: when all that this asked for was answered.
  virtual void end(std::function<void()> done) = 0;
};

}  // namespace metaflow::compute
