// Attempts as jobs of AWS Batch.
//
// Each attempt is a job, or the child of an array, that Batch executes once. A job's name is derived from its attempts,
// so a submission whose answer was lost is found again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/timers.h"
#include "compute/batch/batch_request.h"
#include "compute/batch/client/batch_api.h"
#include "compute/batch/client/log_api.h"
#include "compute/batch/job_watch.h"
#include "compute/batch/submissions.h"
#include "compute/remote/remote_jobs.h"
#include "compute/remote/troubles.h"
#include "net/aws_session.h"
#include "store/flow_store.h"

namespace metaflow::awsbatch {

struct BatchOptions {
  SubmissionOptions jobs{};
  std::map<std::string, PlacedRequest> requests{};  // by step
  std::int64_t poll_every = 1'000'000;              // microseconds between polls, at least
  std::int64_t instance_due = 180'000'000;          // microseconds; a longer wait for an instance is reported
};

/// Not thread-safe; lives in the scheduler's event loop.
class BatchJobs : public compute::RemoteJobs {
 public:
  /// The references outlive this.
  BatchJobs(base::EventLoop& loop, base::Clock& clock, compute::JobEvents& events, store::FlowStore& store,
            net::AwsSession& session, BatchOptions options);
  ~BatchJobs() override;

  void submit(const compute::JobOrder& order) override;
  void remove(std::span<const compute::AttemptId> attempts) override;
  void observe(compute::AttemptId attempt, std::function<void(const compute::JobState&)> done) override;
  void forget(compute::AttemptId attempt) override;
  void read_kept_log(compute::AttemptId attempt, std::function<void(const std::string& failure)> done) override;
  void end(std::function<void()> done) override;

 private:
  using Id = compute::AttemptId;

  struct Record {
    int tries = 0;
    const PlacedRequest* placed = nullptr;
    std::string id{};  // of the job; empty: its submission was not answered
    Job job{};         // as it was described last
    bool unwanted = false;
    bool ended = false;
  };

  void on_placed(const Order& order, Placement&& placement);
  void on_described(Job&& job);
  void on_lost(const std::string& job);
  void on_poll_failed(const net::CallFailure& failure, const std::vector<std::string>& jobs);
  void on_trouble(const net::CallFailure& failure);
  void report_end(Id attempt, Record& record, compute::JobEnd&& end);
  void terminate(Id attempt, const Record& record);
  void end_if_idle();
  Record* find(Id attempt);
  Id attempt_of(const std::string& job) const;

  base::Clock& clock_;
  compute::JobEvents& events_;
  BatchOptions options_;
  std::map<Id, Record> records_;
  std::unordered_map<std::string, Id> by_job_;
  compute::Troubles troubles_;
  std::function<void()> done_;  // of end()
  base::Timers timers_;
  BatchApi api_;
  LogApi kept_logs_;
  JobWatch watch_;
  Submissions submissions_;
};

}  // namespace metaflow::awsbatch
