// The part of AWS Batch's API that is needed: https://docs.aws.amazon.com/batch/latest/APIReference/
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/batch/batch_request.h"
#include "compute/batch/client/job.h"
#include "net/aws_service.h"
#include "net/page_tokens.h"

namespace metaflow::awsbatch {

struct BatchApiOptions {
  /// SubmitJob may be called 50 times per second by all programs of an account together (Service Quotas); the others
  /// are thought to have less.
  net::CallLimits limits{.calls_per_second = 25,
                         .burst = 50,
                         .calls_at_a_time = 16,
                         .retry = {.tries = 16, .first_delay = 200'000, .max_delay = 30'000'000, .budget = 1e18}};
  std::int64_t settling = 3'000'000;  // microseconds until a job that was submitted is listed by its name
  std::function<void(const net::CallFailure&, std::int64_t pause)> on_retry{};
};

struct Submitted {
  std::optional<net::CallFailure> failure{};
  std::string id{};
};

struct Queue {
  std::string name{};
  std::string arn{};
  Machines machines = Machines::ec2;
};

/// Which jobs of a queue.
struct JobSelection {
  std::string queue{};                // name or ARN
  std::string array{};                // its children instead of a queue's jobs: the queue has only the array
  std::string name{};                 // "mf-x-*": those that begin so, of any status and case; empty: by status
  std::optional<JobStatus> status{};  // without a name
};

/// Driven by the loop. Not thread-safe. Callbacks come from the loop, never from within the functions here; they may
/// call these, and must not destroy this.
class BatchApi {
 public:
  /// `loop`, `clock` and `session` must outlive this. Loads libcurl.
  BatchApi(base::EventLoop& loop, base::Clock& clock, net::AwsSession& session, BatchApiOptions options = {},
           std::function<double()> random = net::jitter());
  ~BatchApi();

  using Failure = std::optional<net::CallFailure>;

  /// `job`: a SubmitJobRequest, whose name no other job has. Names are not unique for Batch: where an answer was lost,
  /// the name is looked for in the queue before the job is submitted again.
  void submit(Json job, std::function<void(Submitted&&)> done);

  /// The ARN of the definition of this name that is active; empty: there is none.
  void find_definition(const std::string& name, std::function<void(const Failure&, const std::string& arn)> done);
  /// `definition`: a RegisterJobDefinitionRequest.
  void register_definition(const Json& definition, std::function<void(const Failure&, const std::string& arn)> done);

  /// 100 jobs a call. Those that Batch does not know (any more: it forgets what has ended some days ago) are not told.
  void describe_jobs(const std::vector<std::string>& ids, std::function<void(Job&&)> on_job,
                     std::function<void(const Failure&)> done);
  void list_jobs(const JobSelection& which, std::function<void(Job&&)> on_job,
                 std::function<void(const Failure&)> done);
  /// Ends a job, in whatever state it is. One that has ended, or is not there, is as good.
  void terminate(const std::string& id, const std::string& reason, std::function<void(const Failure&)> done);
  /// Only one that has not begun; of others nothing is changed.
  void cancel(const std::string& id, const std::string& reason, std::function<void(const Failure&)> done);

  /// A queue and the machines of its first compute environment. Without a name: the first that takes jobs.
  void find_queue(const std::string& name, const std::function<void(const Failure&, Queue&&)>& done);

  const net::CallCounters& counters() const { return service_.counters(); }

 private:
  struct Submission;
  struct Listing;
  struct Description;
  using Object = std::function<void(const Failure&, Json&&)>;

  void call(const char* operation, const std::string& words, const Json& body, Object done, bool may_repeat = true);
  void submit_again(const std::shared_ptr<Submission>& submission);
  void look_for(const std::shared_ptr<Submission>& submission);
  void pause(const std::shared_ptr<Submission>& submission, const net::CallFailure& failure,
             void (BatchApi::*then)(const std::shared_ptr<Submission>&));
  void next_page(const std::shared_ptr<Listing>& listing);
  void next_queues(const std::string& name, const std::string& token, const std::shared_ptr<net::PageTokens>& tokens,
                   const std::function<void(const Failure&, Queue&&)>& done);
  void find_machines(Queue queue, const std::string& environment,
                     const std::function<void(const Failure&, Queue&&)>& done);

  base::EventLoop& loop_;
  BatchApiOptions options_;
  std::function<double()> random_;
  net::RetryBudget budget_;
  std::map<Submission*, base::EventLoop::Timer> pauses_;
  net::AwsService service_;
};

}  // namespace metaflow::awsbatch
