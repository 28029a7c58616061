// From attempts to jobs. A definition is registered once. Similar attempts become one array, so that a wide foreach
// costs a call or a few. Attempts that arrive while all calls are unanswered wait for an answer and are then grouped:
// arrays grow where calls are scarce, and a single task does not wait.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/backend.h"
#include "compute/batch/batch_request.h"
#include "compute/batch/client/batch_api.h"
#include "compute/remote/delivery.h"
#include "compute/remote/job_identity.h"
#include "store/flow_store.h"

namespace metaflow::compute {
class StepArray;
}

namespace metaflow::awsbatch {

/// The request of a step, and the queue of its jobs.
struct PlacedRequest {
  BatchRequest request{};
  Queue queue{};
};

/// Common to all jobs of a run.
struct SubmissionOptions {
  std::string run{};
  std::string user{};
  compute::Variables environment{};  // of every container
  compute::StoredPackage package{};
  std::string flow_in_image{};      // the flow's path in the image; then nothing is fetched
  std::string machine{};            // "x86_64": what the flow was built for
  std::uint64_t max_log_size = 10;  // MB per stream
};

/// An attempt to be submitted as a job.
struct Order {
  std::shared_ptr<const compute::Attempt> attempt{};
  const PlacedRequest* placed = nullptr;
  int tries = 0;  // earlier jobs of the attempt, whose task did not begin
};

/// The result of a submission.
struct Placement {
  std::string job{};    // its id; empty: there is none; unless `hopeless`, another try may succeed
  std::string cause{};  // why there is none, for the user
  bool hopeless = false;
};

/// Driven by the loop; not thread-safe.
class Submissions {
 public:
  /// Called from the loop, never from within add().
  using Done = std::function<void(const Order&, Placement&&)>;

  /// All references outlive this.
  Submissions(base::EventLoop& loop, base::Clock& clock, BatchApi& api, store::FlowStore& store,
              SubmissionOptions options, Done done);
  ~Submissions();
  Submissions(const Submissions&) = delete;
  Submissions& operator=(const Submissions&) = delete;

  void add(Order order);
  /// Withdraws an attempt that was not sent yet; `done` is not called for it. Returns false if it may be a job already.
  bool withdraw(compute::AttemptId attempt);
  /// Makes a new link to the package for the next job, since the present one may have expired.
  void renew_link() { link_.reset(); }
  /// Whether every call was answered.
  bool is_idle() const { return unanswered_ == 0; }

 private:
  /// A job definition that jobs wait for or use.
  struct Definition {
    std::string arn{};  // empty: not yet
    bool asked = false;
  };

  void define(const std::string& name, const Json& wanted);
  void defined(const std::string& name, const BatchApi::Failure& failure, const std::string& arn);
  void schedule(std::int64_t wait = 0);
  void send_ready();
  void send(std::vector<Order> orders, const compute::StepArray& array, const std::string& definition);
  Json describe(const Order& order, const compute::StepArray& array, const std::string& definition);
  const std::string& link();

  base::EventLoop& loop_;
  base::Clock& clock_;
  BatchApi& api_;
  store::FlowStore& store_;
  SubmissionOptions options_;
  Done done_;
  std::map<compute::AttemptId, Order> waiting_;  // in the order of arrival
  std::map<const PlacedRequest*, std::string> definition_of_;
  std::map<std::string, Definition> definitions_;  // by name
  std::optional<store::Link> link_;
  std::optional<base::EventLoop::Timer> timer_;
  std::size_t unanswered_ = 0;
};

}  // namespace metaflow::awsbatch
