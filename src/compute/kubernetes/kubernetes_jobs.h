// Attempts as jobs of a Kubernetes cluster.
//
// Each attempt is a Job with one pod that is executed once. One watch per namespace reports the states of the pods. A
// job's name is derived from the attempt, so a submission whose answer was lost does not create a second job.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/timers.h"
#include "compute/kubernetes/client/api.h"
#include "compute/kubernetes/manifest.h"
#include "compute/kubernetes/pod_request.h"
#include "compute/kubernetes/pod_state.h"
#include "compute/kubernetes/run_namespace.h"
#include "compute/remote/remote_jobs.h"
#include "store/flow_store.h"

namespace metaflow::kube {

struct KubernetesOptions {
  std::string run{};
  std::string user{};
  std::map<std::string, PodRequest> requests{};  // by step
  Variables environment{};                       // of every container
  DeliveryOptions delivery{};
  std::int64_t job_seconds = 7 * 24 * 3600;  // for which the cluster keeps a finished job
  std::uint64_t max_log_size = 10;           // MB per stream
};

/// Not thread-safe; lives in the scheduler's event loop.
class KubernetesJobs : public compute::RemoteJobs {
 public:
  /// The references outlive this.
  KubernetesJobs(base::EventLoop& loop, base::Clock& clock, compute::JobEvents& events, store::FlowStore& store,
                 Access access, KubernetesOptions options);
  ~KubernetesJobs() override;

  void submit(const compute::JobOrder& order) override;
  void remove(std::span<const compute::AttemptId> attempts) override;
  void observe(compute::AttemptId attempt, std::function<void(const compute::JobState&)> done) override;
  std::unique_ptr<compute::LiveLog> follow(compute::AttemptId attempt) override;
  void forget(compute::AttemptId attempt) override;
  /// Reads the log of a pod while the pod exists; if an init container has ended the pod, the end of that container's
  /// log.
  void read_kept_log(compute::AttemptId attempt, std::function<void(const std::string& failure)> done) override;
  void end(std::function<void()> done) override;

 private:
  using Id = compute::AttemptId;

  /// A namespace with attempts.
  struct Place {
    std::unique_ptr<RunNamespace> own;
    std::vector<Id> waiting;                      // until jobs may be created
    std::optional<base::EventLoop::Timer> sweep;  // for jobs without a pod
    std::size_t asking = 0;                       // unanswered requests of such a sweep
    std::deque<std::string> failed{};             // the last failed jobs, which are kept for debugging
  };

  /// A job, and its pod.
  struct Record {
    compute::JobOrder order;
    const PodRequest* request = nullptr;
    Place* place = nullptr;
    std::string name{};        // of the job; empty: its creation was not sent yet
    std::string uid{};         // of the job; empty: its creation was not answered
    std::int64_t created = 0;  // when the job was created; monotonic
    bool creating = false;     // its creation was not answered
    bool unwanted = false;     // it is to be removed
    bool removing = false;     // its deletion was sent
    bool suspended = false;    // as far as is known: it has no pod then
    std::string pod{};
    std::string previous_pod{};   // deleted before its task began
    bool reading_reason = false;  // the pod was deleted, and the job is read for the reason
    std::string node{};
    std::string trouble{};    // from events: why the job has no pod, or why the pod is not ready
    std::string waiting{};    // what the pod waits for
    bool hopeless = false;    // the trouble does not resolve itself
    std::string starting{};   // how its node prepares it
    std::int64_t since = 0;   // when it began that; monotonic
    std::string warning{};    // time of its last warning, by the cluster's clock
    std::int64_t warned = 0;  // the same; monotonic
    bool running = false;
    bool ended = false;
    bool succeeded = false;
    bool outlived = false;           // its task has ended, and other containers of its pod still run
    std::string failed_container{};  // not part of the flow, and has ended the pod

    const compute::Attempt& attempt() const { return *order.attempt; }
    void clear_trouble() {
      trouble.clear();
      hopeless = false;
    }
  };

  Place& place_of(const PodRequest& request);
  Json manifest_of(const Record& record) const;
  void create_job(Id id);
  void create_jobs();
  void start_job(Record& record);
  void on_created(Id id, Place& place, const std::string& job, Answer&& answer);
  void announce(const Record& record);
  void on_pod(Change change, const Json& pod);
  void on_waiting(Record& record, const PodState& state);
  void report_waiting(const Record& record, const std::string& trouble, const std::string& notice, bool hopeless);
  void on_running(Record& record, const PodState& state);
  void on_ended(Record& record, const PodState& state);
  void ask_why_deleted(Record& record, PodState&& state, const Json& pod);
  void on_deleted(Record& record, PodState&& state, bool suspended);
  void note_suspension(Record& record, bool suspended);
  void fail_all(Place& place, const std::string& words);
  std::vector<Id> ids_in(const Place& place) const;

  void sweep_later(Place& place);
  void answered(Place& place);
  void sweep(Place& place);
  bool is_without_pod(const Record& record, const Place& place) const;
  void ask_for_warnings(Place& place, const std::string& fields, std::function<void(const Json&)> on_warning,
                        std::function<void()> restart, std::function<void(bool failed)> done);
  void look_for_job(Place& place, Id id);
  void look_for_jobs(Place& place);
  void explain(Place& place, const Json& event);
  bool is_slow_to_start(const Record& record, const Place& place) const;
  void explain_starts(Place& place);
  void explain_starts(Place& place, const std::string& fields, const std::string& pod);
  void explain_start(Record& record, const PodWarning* warning, const std::string& otherwise);

  void remove_jobs(std::span<Record* const> records);
  void remove_job(Record& record);
  void remove_job(Place& place, Id id, const std::string& job);
  void remove_surplus(const std::string& job, const Json& pod);
  void end_if_idle();
  void on_removed(Id id);
  Record* find(Id id);
  Record* find_job(const std::string& job);

  base::EventLoop& loop_;
  base::Clock& clock_;
  compute::JobEvents& events_;
  store::FlowStore& store_;
  Access access_;
  KubernetesOptions options_;
  std::string run_key_;
  std::string secret_;
  std::map<std::string, Place> places_;  // by namespace
  std::unordered_map<Id, std::unique_ptr<Record>> records_;
  std::unordered_map<std::string, Id> by_job_;
  std::unordered_set<std::string> abandoned_;  // jobs that were abandoned during their creation
  std::deque<Id> to_create_;
  std::size_t creating_ = 0;    // jobs whose creation was not answered
  std::size_t deletions_ = 0;   // not answered yet
  std::function<void()> done_;  // of end()
  base::Timers timers_;
};

}  // namespace metaflow::kube
