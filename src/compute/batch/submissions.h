// From attempts to jobs: the definition that they need, which is registered once, and alike ones as one array, so that
// a wide foreach costs a call or a few. What comes while calls are without an answer waits for one and joins others
// then: arrays grow where calls are scarce, and a single task waits for nothing.
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

/// A step, and where its jobs go.
struct PlacedRequest {
  BatchRequest request{};
  Queue queue{};
};

/// What jobs of a run have in common.
struct SubmissionOptions {
  std::string run{};
  std::string user{};
  compute::Variables environment{};  // of every container
  compute::StoredPackage package{};
  std::string flow_in_image{};      // the flow's path in the image; then nothing is fetched
  std::string machine{};            // "x86_64": what the flow was built for
  std::uint64_t max_log_size = 10;  // MB per stream
};

/// An attempt that is to become a job.
struct Order {
  std::shared_ptr<const compute::Attempt> attempt{};
  const PlacedRequest* placed = nullptr;
  int tries = 0;  // earlier jobs of it, whose task did not begin
};

/// What became of it.
struct Placement {
  std::string job{};    // its id; empty: there is none, and it may be tried again if not `hopeless`
  std::string cause{};  // why, for people
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
  /// Takes an attempt back that was not sent yet: nothing more is told of it. False: it may be a job already.
  bool withdraw(compute::AttemptId attempt);
  /// The link to the package may have expired: a new one is made.
  void renew_link() { link_.reset(); }
  /// Nothing that was sent is without an answer.
  bool is_idle() const { return unanswered_ == 0; }

 private:
  /// A job definition that jobs wait for, or that is there.
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
  std::map<compute::AttemptId, Order> waiting_;  // in the order in which they came
  std::map<const PlacedRequest*, std::string> definition_of_;
  std::map<std::string, Definition> definitions_;  // by name
  std::optional<store::Link> link_;
  std::optional<base::EventLoop::Timer> timer_;
  std::size_t unanswered_ = 0;
};

}  // namespace metaflow::awsbatch
