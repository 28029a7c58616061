// Attempts as jobs of a Kubernetes cluster.
//
// Each attempt is a Job with one pod that is tried once: retries are the scheduler's, and so are --max-workers
// (docs/decisions/one-job-per-attempt.md). One watch per namespace tells what becomes of the pods. A job's name follows
// from the attempt, so a submission whose answer was lost is not made twice. How an attempt ended is what its
// supervisor wrote beside it in the store, and where that is missing what the pod's status says.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/backend.h"
#include "compute/judgement.h"
#include "compute/kubernetes/client/api.h"
#include "compute/kubernetes/manifest.h"
#include "compute/kubernetes/pod_log.h"
#include "compute/kubernetes/pod_request.h"
#include "compute/kubernetes/pod_state.h"
#include "compute/kubernetes/run_namespace.h"
#include "compute/leftovers.h"
#include "compute/notices.h"
#include "store/flow_store.h"

namespace metaflow::kube {

struct KubernetesOptions {
  std::string run{};
  std::string user{};
  std::map<std::string, PodRequest> requests{};  // by step
  Variables environment{};                       // of every container
  DeliveryOptions delivery{};
  std::int64_t job_seconds = 7 * 24 * 3600;  // that a finished job is kept by the cluster
  int uncounted_retries = 0;                 // of a task whose pod was disrupted, or whose node was lost
  std::int64_t patience = 600'000'000;       // microseconds, with what only people can cure
  std::uint64_t max_log_size = 10;           // MB per stream
  std::size_t streams = 64;                  // logs that are followed at a time
};

/// Not thread-safe; lives in the scheduler's event loop.
class KubernetesBackend : public compute::Backend {
 public:
  /// All references outlive this. `open`: another instance of `store`, for a thread.
  KubernetesBackend(base::EventLoop& loop, base::Clock& clock, compute::BackendEvents& events, store::FlowStore& store,
                    compute::LeftoverReader::Open open, Access access, KubernetesOptions options);
  ~KubernetesBackend() override;

  void submit(std::span<const compute::Attempt> attempts) override;
  void stop(std::span<const compute::AttemptId> attempts, compute::Stop how) override;
  void end() override;

 private:
  using Id = compute::AttemptId;

  /// A namespace that attempts are in.
  struct Place {
    std::unique_ptr<RunNamespace> own;
    std::vector<Id> waiting;                      // until jobs may be made
    std::optional<base::EventLoop::Timer> sweep;  // for jobs without a pod
    std::deque<std::string> failed{};             // jobs, the last ones: they stay, for people to look into
  };

  /// A job that an attempt is at, and its pod.
  struct JobState {
    bool requested = false;  // the job: it may be there
    bool creating = false;   // its creation was not answered
    std::string job{};
    std::string uid{};         // of the job; empty: its creation was not answered
    std::int64_t created = 0;  // when the job was; monotonic
    bool removing = false;     // the job
    bool removed = false;      // the job's deletion was answered
    bool announced = false;
    std::string trouble{};  // what events tell: why the job has no pod, or why that is not made ready
    std::string pod{};
    std::string node{};
    std::string waiting{};    // what the pod waits for
    std::string starting{};   // how its node makes it ready
    std::int64_t since = 0;   // when it began that; monotonic
    std::string warning{};    // when its last warning was told, by the cluster's clock
    std::int64_t warned = 0;  // and by ours
    bool running = false;
    bool silent = false;  // its node does not answer
    bool shown = false;   // its output, at least a part
    std::optional<PodState> ended{};
  };

  struct Entry : JobState {
    compute::Attempt attempt;
    const PodRequest* request = nullptr;
    Place* place = nullptr;
    int tries = 0;  // earlier jobs, whose task did not begin
    std::unique_ptr<PodLog> log;
    std::optional<base::EventLoop::Timer> timer;  // the end of patience, of a pause, of waiting for the log's end
    bool hopeless = false;                        // the timer is that of patience
    bool stopping = false;
    bool reading = false;  // what it left
    bool forced = false;   // nothing more is waited for
  };

  Place& place_of(const PodRequest& request);
  Json manifest_of(const Entry& entry) const;
  void create_job(Id id);
  void create_jobs();
  void start_job(Entry& started);
  void on_created(Id id, Place& place, const std::string& job, Answer&& answer);
  void announce(Entry& entry);
  void look_into_store(Id id);
  void on_pod(Change change, const Json& pod);
  void on_waiting(Entry& entry, const PodState& state);
  void on_running(Entry& entry, const PodState& state);
  void on_ended(Entry& entry, PodState state);
  void follow_log(Entry& entry);
  void sweep_later(Place& place);
  void sweep(Place& place);
  void explain(Place& place, const Json& event);
  bool is_slow_to_start(const Entry& entry, const Place& place) const;
  void explain_starts(Place& place);
  void explain_start(Entry& entry, const PodWarning* warning, const std::string& otherwise);
  void remove_surplus(const std::string& job, const Json& pod);
  void close(Id id);
  void conclude(Id id);
  void settle(Entry& entry, compute::Leftover&& left);
  bool try_again(Entry& entry, const compute::Judgement& judgement);
  void finish(Id id, const compute::Verdict& verdict);
  void fail(Id id, const std::string& cause);
  void fail_all(Place& place, const std::string& words);
  void remove_jobs(std::span<Entry* const> entries);
  void remove_job(Entry& entry);
  void remove_job(Place& place, Id id, const std::string& job);
  void on_removed(Id id);
  void note_end(Entry& entry);
  void set_timer(Entry& entry, std::int64_t microseconds, void (KubernetesBackend::*what)(Id));
  void drop_timer(Entry& entry);
  void drop_log(Entry& entry);
  void give_up(Id id);
  void give_up(Entry& entry, const std::string& why);
  Entry* find(Id id);
  store::TaskRef task_of(const Entry& entry) const;

  base::EventLoop& loop_;
  base::Clock& clock_;
  compute::BackendEvents& events_;
  store::FlowStore& store_;
  Access access_;
  KubernetesOptions options_;
  std::string run_key_;
  std::string secret_;
  std::map<std::string, Place> places_;  // by namespace
  std::unordered_map<Id, std::unique_ptr<Entry>> entries_;
  std::unordered_map<std::string, Id> by_job_;
  std::unordered_set<std::string> abandoned_;  // jobs whose creation is on its way, and that nobody wants any more
  compute::Notices notices_;
  compute::LeftoverReader leftovers_;
  std::deque<Id> to_create_;
  std::size_t creating_ = 0;  // jobs whose creation was not answered
  std::size_t streams_ = 0;
  std::size_t deletions_ = 0;  // not answered yet
  bool over_ = false;          // nothing is told any more
};

}  // namespace metaflow::kube
