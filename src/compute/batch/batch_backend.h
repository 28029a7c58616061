// Attempts as jobs of AWS Batch.
//
// Each attempt is a job of its own that is tried once: retries are the scheduler's, and so are --max-workers
// (docs/decisions/one-job-per-attempt.md). A job's name follows from the attempt, so a submission whose answer was lost
// is found again. What becomes of the jobs is asked for, a hundred a call. How an attempt ended is what its supervisor
// wrote beside it in the store, and where that is missing what Batch says of the job.
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
#include "compute/delivery.h"
#include "compute/job_identity.h"
#include "compute/judgement.h"
#include "compute/leftovers.h"
#include "compute/notices.h"
#include "net/aws_session.h"
#include "store/flow_store.h"

namespace metaflow::awsbatch {

/// A step, and where its jobs go.
struct PlacedRequest {
  BatchRequest request{};
  Queue queue{};
};

struct BatchOptions {
  std::string run{};
  std::string user{};
  std::map<std::string, PlacedRequest> requests{};  // by step
  compute::Variables environment{};                 // of every container
  compute::StoredPackage package{};
  std::string flow_in_image{};          // the flow's path in the image; then nothing is fetched
  std::string machine{};                // "x86_64": what the flow was built for
  std::uint64_t max_log_size = 10;      // MB per stream
  std::int64_t patience = 600'000'000;  // microseconds, with what only people can cure
  std::int64_t poll_every = 1'000'000;  // microseconds, at the most often
  std::size_t followed = 64;            // logs that are shown while they are written
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

  /// A job definition that jobs wait for, or that is there.
  struct Definition {
    std::string arn{};  // empty: not yet
    std::vector<Id> waiting{};
  };

  /// An attempt, and the job that it is at.
  struct Entry {
    compute::Attempt attempt;
    const PlacedRequest* placed = nullptr;
    int tries = 0;           // earlier jobs, whose task did not begin
    bool requested = false;  // the job: it may be there
    std::string job;         // its id; empty: its submission was not answered
    Job state;               // as it was told last
    int unknown = 0;         // times in a row that Batch did not tell of it
    bool running = false;
    std::optional<compute::Ending> ended;
    bool followed = false;
    std::int64_t look_every = 0;  // at its log
    std::size_t shown_out = 0;    // bytes of its log that were told
    std::size_t shown_err = 0;
    std::optional<base::EventLoop::Timer> timer;  // the end of patience, or of a pause
    std::optional<base::EventLoop::Timer> look;   // at its log
    bool hopeless = false;                        // the timer is that of patience
    bool stopping = false;
    bool terminating = false;
    bool terminated = false;  // that was answered
    bool reading = false;     // what it left
    bool looking = false;     // at its log
    bool forced = false;      // nothing more is waited for
  };

  void define(Id id);
  void defined(const std::string& name, const BatchApi::Failure& failure, const std::string& arn);
  void submit_job(Id id);
  Json submission_of(const Entry& entry, const std::string& name, const std::string& arn);
  void on_submitted(Id id, int tries, Submitted&& submitted);
  void schedule_poll(bool soon);
  void poll();
  void on_job(Job&& job);
  void on_polled(const std::vector<std::string>& asked, const BatchApi::Failure& failure);
  void on_waiting(Entry& entry);
  void on_running(Entry& entry);
  void on_ended(Entry& entry, compute::Ending ending);
  void follow(Entry& entry);
  void look_at_log(Id id);
  void show(Entry& entry, const std::optional<std::string>& out, const std::optional<std::string>& err);
  void give_up(Id id);
  void conclude(Id id);
  void settle(Entry& entry, compute::Leftover&& left);
  bool try_again(Entry& entry, const compute::Judgement& judgement);
  void read_cloud_log(Id id, const compute::Verdict& verdict);
  void finish(Id id, const compute::Verdict& verdict);
  void fail(Id id, const std::string& cause, bool hopeless = false);
  void terminate(Entry& entry);
  const std::string& link();
  void on_trouble(const net::AwsFailure& failure);
  void drop_timer(Entry& entry);
  Entry* find(Id id);
  store::TaskRef task_of(const Entry& entry) const;
  std::string log_group(const Entry& entry) const;

  base::EventLoop& loop_;
  base::Clock& clock_;
  compute::BackendEvents& events_;
  store::FlowStore& store_;
  BatchOptions options_;
  std::unordered_map<Id, std::unique_ptr<Entry>> entries_;
  std::unordered_map<std::string, Id> by_job_;
  std::map<std::string, Definition> definitions_;  // by name
  std::optional<store::Link> link_;
  std::optional<base::EventLoop::Timer> poll_timer_;
  bool polling_ = false;
  std::int64_t changed_at_ = 0;  // when something was told last that was new; monotonic
  std::int64_t told_at_ = 0;     // of trouble with Batch; monotonic
  int troubles_ = 0;             // with it, since it answered
  std::size_t followed_ = 0;
  std::size_t submissions_ = 0;   // not answered yet
  std::size_t terminations_ = 0;  // not answered yet
  bool over_ = false;             // nothing is told any more
  compute::Notices notices_;
  compute::LeftoverReader leftovers_;
  BatchApi api_;
  LogApi logs_;
};

}  // namespace metaflow::awsbatch
