// The life of attempts that a platform executes as jobs: submitted, waiting, running, ended, judged.
//
// One state machine for all platforms. Each attempt is a job that is executed once: retries and --max-workers are the
// scheduler's (docs/decisions/one-job-per-attempt.md). RemoteJobs is the platform's part. How an attempt ended is what
// its supervisor wrote to the store, or, if that is missing, what the platform says of the job.
//
//   submit ──► waiting ──► running ──► ended ──► log read ──► result read ──► judged ──► on_finished
//                 │ hopeless              ▲                                     │
//                 └── patience ──► abandoned                not begun: delay ◄──┘ (another job, not counted as a retry)
//
// stop() requests the removal of the job, and waits for its end; a forced stop() waits only for the answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/timers.h"
#include "compute/backend.h"
#include "compute/remote/attempt_results.h"
#include "compute/remote/notices.h"
#include "compute/remote/remote_jobs.h"
#include "store/flow_store.h"

namespace metaflow::compute {

struct RemoteOptions {
  std::string unit = "job";             // the platform's word for an attempt: "pod"
  int uncounted_retries = 0;            // of a task that was lost with its node
  std::int64_t patience = 600'000'000;  // microseconds to wait for what does not resolve itself
  std::size_t followed = 64;            // logs that are shown live
  std::size_t readers = 8;              // threads that read results; 0: the loop does
};

/// Not thread-safe; lives in the scheduler's event loop.
class RemoteAttempts : public Backend, private JobEvents {
 public:
  static constexpr std::int64_t kResubmitDelay = 10'000'000;  // microseconds
  static constexpr int kMaxTries = 3;                         // jobs of an attempt, if its task does not begin
  static constexpr std::int64_t kLogEnd = 5'000'000;          // between the end of a job and that of its log
  static constexpr std::int64_t kKeptLog = 60'000'000;        // to read what the platform kept of a log
  static constexpr std::int64_t kLookEvery = 15'000'000;      // for the result of a task whose node is silent
  static constexpr std::int64_t kEndTimeout = 15'000'000;     // for removals at the end of a run
  static constexpr std::int64_t kForcedEndTimeout = 200'000;  // the same, if forced

  using MakeJobs = std::function<std::unique_ptr<RemoteJobs>(JobEvents&)>;

  /// The references outlive this. `open`: another instance of the run's store, for a thread.
  RemoteAttempts(base::EventLoop& loop, base::Clock& clock, BackendEvents& events, ResultReader::Open open,
                 RemoteOptions options, const MakeJobs& make_jobs);
  ~RemoteAttempts() override;

  void submit(const Attempt& attempt) override;
  void stop(std::span<const AttemptId> attempts, Stop how) override;
  void leave() override;
  void end(Stop how) override;

 private:
  enum class TimerFor : std::uint8_t { patience, pause, log, look };

  /// The current job of an attempt.
  struct Job {
    std::string name{};  // empty: not known to exist
    JobState state{};    // as last reported
    bool running = false;
    bool silent = false;   // its node does not answer
    bool removed = false;  // its removal was answered
    std::optional<JobEnd> end{};
    std::unique_ptr<LiveLog> log{};
    bool log_is_open = false;
  };

  struct Entry {
    std::shared_ptr<const Attempt> attempt;
    int tries = 0;  // earlier jobs, whose task did not begin
    Job job{};
    std::optional<base::Timers::Timer> timer{};
    TimerFor timer_for = TimerFor::patience;
    std::optional<Verdict> verdict{};  // while the rest of its log is read
    bool new_link = false;             // the last of these jobs could not fetch the flow's package
    bool reading = false;              // its result
    bool stopping = false;
    bool forced = false;  // wait only for the answer

    AttemptId id() const { return attempt->id; }
    const std::string& step() const { return attempt->step.step; }
    bool waits_for(TimerFor what) const { return timer && timer_for == what; }
  };

  void on_job(AttemptId attempt, const std::string& name) override;
  void on_no_job(AttemptId attempt, const std::string& cause, bool hopeless) override;
  void on_state(AttemptId attempt, JobState&& state) override;
  void on_removed(AttemptId attempt, bool is_gone) override;
  void on_log(AttemptId attempt, store::Stream stream, std::string_view bytes) override;
  void on_log_end(AttemptId attempt, bool whole) override;
  void on_trouble(std::span<const AttemptId> attempts, const std::string& words) override;

  void on_waiting(Entry& entry);
  void on_running(Entry& entry, bool is_new);
  void on_ended(Entry& entry);
  void give_up(AttemptId id);
  void look_into_store(AttemptId id);
  void follow(Entry& entry);
  void close_log(Entry& entry);
  void close(AttemptId id);
  void conclude(AttemptId id);
  void read_kept_log(Entry& entry, const Verdict& verdict);
  void give_up_log(AttemptId id);
  void settle(Entry& entry, AttemptResult&& left);
  bool try_again(Entry& entry, const Verdict& verdict);
  void resubmit(AttemptId id);
  void leave_to_other(AttemptId id);
  void finish(AttemptId id, const Verdict& verdict);
  void fail(AttemptId id, const std::string& cause, bool hopeless);
  void shorten_end();
  void soon(AttemptId id, void (RemoteAttempts::*what)(AttemptId));
  void set_timer(Entry& entry, TimerFor purpose, std::int64_t microseconds, void (RemoteAttempts::*what)(AttemptId));
  void drop_timer(Entry& entry);
  Entry* find(AttemptId id);

  base::EventLoop& loop_;
  base::Clock& clock_;
  BackendEvents& events_;
  RemoteOptions options_;
  base::Timers timers_;
  std::map<AttemptId, Entry> entries_;
  std::size_t followed_ = 0;
  bool left_ = false;        // another scheduler has the jobs
  bool over_ = false;        // no events are reported any more
  bool jobs_ended_ = false;  // the platform has removed everything of the run
  std::int64_t until_ = 0;   // deadline of end(); monotonic
  Notices notices_;
  ResultReader results_;
  std::unique_ptr<RemoteJobs> jobs_;  // destroyed first: it calls back
};

}  // namespace metaflow::compute
