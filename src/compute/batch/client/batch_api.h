// The part of AWS Batch's API that is needed here: https://docs.aws.amazon.com/batch/latest/APIReference/
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
  /// SubmitJob is limited to 50 calls per second, for all programs of an account together (Service Quotas). The limits
  /// of the other calls are assumed to be lower.
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

/// Selects jobs of a queue.
struct JobSelection {
  std::string queue{};                // name or ARN
  std::string array{};                // its children instead of the queue's jobs, which include only the array
  std::string name{};                 // "mf-x-*": a prefix, of any status and case; empty: by status
  std::optional<JobStatus> status{};  // without a name
};

/// Driven by the loop. Not thread-safe. Callbacks come from the loop, never from within the functions here. They may
/// call these functions, and must not destroy this.
class BatchApi {
 public:
  /// `loop`, `clock` and `session` must outlive this. Loads libcurl.
  BatchApi(base::EventLoop& loop, base::Clock& clock, net::AwsSession& session, BatchApiOptions options = {},
           std::function<double()> random = net::jitter());
  ~BatchApi();

  using Failure = std::optional<net::CallFailure>;

  /// Submits a job. `job`: a SubmitJobRequest with a unique name. Batch does not enforce unique names: where an answer
  /// was lost, the name is looked for in the queue before the job is submitted again.
  void submit(Json job, std::function<void(Submitted&&)> done);

  /// Finds the ARN of the active definition of this name; empty: there is none.
  void find_definition(const std::string& name, std::function<void(const Failure&, const std::string& arn)> done);
  /// Registers a definition. `definition`: a RegisterJobDefinitionRequest.
  void register_definition(const Json& definition, std::function<void(const Failure&, const std::string& arn)> done);

  /// Describes jobs, 100 per call. Skips unknown jobs: Batch forgets a job some days after its end.
  void describe_jobs(const std::vector<std::string>& ids, std::function<void(Job&&)> on_job,
                     std::function<void(const Failure&)> done);
  void list_jobs(const JobSelection& which, std::function<void(Job&&)> on_job,
                 std::function<void(const Failure&)> done);
  /// Ends a job in any state. Succeeds as well if the job has ended or does not exist.
  void terminate(const std::string& id, const std::string& reason, std::function<void(const Failure&)> done);
  /// Cancels a job that has not begun; does nothing to others.
  void cancel(const std::string& id, const std::string& reason, std::function<void(const Failure&)> done);

  /// Finds a queue and the machines of its first compute environment. Without a name: the first queue that accepts
  /// jobs.
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
