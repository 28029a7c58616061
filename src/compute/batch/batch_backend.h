// Attempts as jobs of AWS Batch.
//
// Each attempt is a job, or the child of an array, that is tried once: retries are the scheduler's, and so are
// --max-workers (docs/decisions/one-job-per-attempt.md). A job's name follows from the attempts that it is for, so a
// submission whose answer was lost is found again. How an attempt ended is what its supervisor wrote beside it in the
// store, and where that is missing what Batch says of the job.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/backend.h"
#include "compute/batch/batch_request.h"
#include "compute/batch/client/batch_api.h"
#include "compute/batch/client/log_api.h"
#include "compute/batch/job_watch.h"
#include "compute/batch/log_follower.h"
#include "compute/batch/submissions.h"
#include "compute/judgement.h"
#include "compute/leftovers.h"
#include "compute/notices.h"
#include "net/aws_session.h"
#include "store/flow_store.h"

namespace metaflow::awsbatch {

struct BatchOptions {
  SubmissionOptions jobs{};
  std::map<std::string, PlacedRequest> requests{};  // by step
  int uncounted_retries = 3;                        // of a task whose machine was reclaimed
  std::int64_t patience = 600'000'000;              // microseconds, with what only people can cure
  std::int64_t poll_every = 1'000'000;              // microseconds, at the most often
  std::size_t followed = 64;                        // logs that are shown while they are written
};

/// Not thread-safe; lives in the scheduler's event loop.
class BatchBackend : public compute::Backend {
 public:
  /// All references outlive this. `open`: another instance of `store`, for a thread.
  BatchBackend(base::EventLoop& loop, base::Clock& clock, compute::BackendEvents& events, store::FlowStore& store,
               compute::LeftoverReader::Open open, net::AwsSession& session, BatchOptions options);
  ~BatchBackend() override;

  void submit(std::span<const compute::Attempt> attempts) override;
  void stop(std::span<const compute::AttemptId> attempts, compute::Stop how) override;
  void end() override;

 private:
  using Id = compute::AttemptId;

  /// An attempt, and the job that it is at.
  struct Entry {
    std::shared_ptr<const compute::Attempt> attempt;
    const PlacedRequest* placed = nullptr;
    int tries = 0;    // earlier jobs, whose task did not begin
    std::string job;  // its id; empty: its submission was not answered
    Job state;        // as it was told last
    bool running = false;
    std::optional<compute::Ending> ended;
    std::optional<base::EventLoop::Timer> timer;  // the end of patience, or of a pause
    bool hopeless = false;                        // the timer is that of patience
    bool pausing = false;                         // the timer is that of a pause: there is no job
    bool stopping = false;
    bool terminating = false;
    bool terminated = false;  // that was answered
    bool reading = false;     // what it left
    bool forced = false;      // nothing more is waited for
  };

  void place(const Entry& entry);
  void on_placed(const Order& order, Placement&& placement);
  void on_job(Job&& job);
  void on_lost(const std::string& job);
  void on_poll_failed(const net::CallFailure& failure, const std::vector<std::string>& jobs);
  void on_waiting(Entry& entry);
  void on_running(Entry& entry);
  void on_ended(Entry& entry, compute::Ending ending);
  void give_up(Id id);
  void conclude(Id id);
  void settle(Entry& entry, compute::Leftover&& left);
  bool try_again(Entry& entry, const compute::Judgement& judgement);
  void read_cloud_log(Id id, const compute::Verdict& verdict);
  void finish(Id id, const compute::Verdict& verdict);
  void fail(Id id, const std::string& cause, bool hopeless = false);
  void terminate(Entry& entry);
  void on_trouble(const net::CallFailure& failure);
  void drop_timer(Entry& entry);
  Entry* find(Id id);
  Entry* find_job(const std::string& job);
  store::TaskRef task_of(const Entry& entry) const;
  std::string log_group(const Entry& entry) const;

  base::EventLoop& loop_;
  base::Clock& clock_;
  compute::BackendEvents& events_;
  BatchOptions options_;
  std::unordered_map<Id, std::unique_ptr<Entry>> entries_;
  std::unordered_map<std::string, Id> by_job_;
  std::int64_t told_at_ = 0;  // of trouble with Batch; monotonic
  int troubles_ = 0;          // with it, since it answered
  bool over_ = false;         // nothing is told any more
  compute::Notices notices_;
  compute::LeftoverReader leftovers_;
  BatchApi api_;
  LogApi cloud_logs_;
  LogFollower logs_;
  JobWatch watch_;
  Submissions submissions_;
};

}  // namespace metaflow::awsbatch
