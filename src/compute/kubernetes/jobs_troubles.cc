// The part of KubernetesJobs that finds out what is wrong: why a job has no pod, and why a pod does not start.
#include "base/format.h"
#include "compute/kubernetes/kubernetes_jobs.h"

namespace metaflow::kube {

namespace {

constexpr std::int64_t kSweepEvery = 15'000'000;     // microseconds
constexpr std::int64_t kPodDue = 10'000'000;         // after its job, a pod is there, and after that ready
constexpr std::int64_t kWarningHolds = 300'000'000;  // a node tries again, and warns again, sooner

}  // namespace

void KubernetesJobs::sweep_later(Place& place) {
  if (!place.sweep) place.sweep = loop_.after(kSweepEvery, [this, &place] { sweep(place); });
}

/// Quotas and the like keep a job from making its pod; only its events tell. Two calls for all of them.
void KubernetesJobs::sweep(Place& place) {
  place.sweep.reset();
  if (done_) return;
  const std::int64_t now = clock_.monotonic_microseconds();
  bool any = false;
  bool due = false;
  bool is_slow = false;
  for (const auto& [id, record] : records_) {
    if (record->place != &place || record->ended) continue;
    any = true;
    due = due || (record->pod.empty() && !record->uid.empty() && now - record->created > kPodDue);
    is_slow = is_slow || is_slow_to_start(*record, place);
  }
  if (!any) return;
  sweep_later(place);
  if (is_slow) explain_starts(place);
  if (!due) return;
  place.own->api().list(Resource::events, Selection{.fields = "involvedObject.kind=Job,type=Warning"},
                        {.on_object = [this, &place](Json&& event) { explain(place, event); }});
  look_for_jobs(place);
}

/// Those that are not there any more, though they should be.
void KubernetesJobs::look_for_jobs(Place& place) {
  auto there = std::make_shared<std::unordered_set<std::string>>();
  place.own->api().list(Resource::jobs, Selection{.labels = fmt::format("{}={}", kRunLabel, run_key_)},
                        {.on_object =
                             [there](Json&& job) {
                               there->insert(text_at(job, {"metadata", "name"}));
                             },
                         .on_restart = [there] { there->clear(); },
                         .done =
                             [this, &place, there, asked = clock_.monotonic_microseconds()](ListEnd&& end) {
                               if (end.failure) return;
                               std::vector<Id> gone;
                               for (const auto& [id, record] : records_) {
                                 const bool old = !record->uid.empty() && asked - record->created > kPodDue;
                                 if (record->place == &place && old && record->pod.empty() && !record->unwanted &&
                                     !there->contains(record->name))
                                   gone.push_back(id);
                               }
                               for (const Id id : gone)
                                 events_.on_no_job(id, "The job is gone: somebody deleted it before it had a pod.",
                                                   false);
                             }});
}

void KubernetesJobs::explain(Place& place, const Json& event) {
  Record* record = find_job(text_at(event, {"involvedObject", "name"}));
  if (record == nullptr || record->place != &place || record->uid != text_at(event, {"involvedObject", "uid"}) ||
      !record->pod.empty() || record->unwanted)
    return;
  const NoPod no_pod = why_no_pod(event);
  record->trouble = no_pod.cause;
  record->hopeless = record->hopeless || no_pod.hopeless;
  tell_waiting(*record, record->trouble, record->trouble, record->hopeless);
}

bool KubernetesJobs::is_slow_to_start(const Record& record, const Place& place) const {
  return record.place == &place && !record.starting.empty() && !record.running && !record.ended && !record.unwanted &&
         clock_.monotonic_microseconds() - record.since > kPodDue;
}

/// While a node makes a pod ready, only events tell what keeps it. A call for all of them.
void KubernetesJobs::explain_starts(Place& place) {
  auto warnings = std::make_shared<std::unordered_map<std::string, PodWarning>>();  // the last ones, by pod
  place.own->api().list(Resource::events,
                        Selection{.fields = "involvedObject.kind=Pod,type=Warning,reason!=FailedScheduling,"
                                            "reason!=MissingClusterDNS,reason!=DNSConfigForming"},
                        {.on_object =
                             [warnings](Json&& event) {
                               PodWarning& last = (*warnings)[text_at(event, {"involvedObject", "name"})];
                               PodWarning warning = warning_of(event);
                               if (last.time <= warning.time) last = std::move(warning);
                             },
                         .on_restart = [warnings] { warnings->clear(); },
                         .done =
                             [this, &place, warnings](ListEnd&& end) {
                               for (const auto& [id, record] : records_) {
                                 if (!is_slow_to_start(*record, place)) continue;
                                 const auto found = warnings->find(record->pod);
                                 const bool is_told = end.failure || record->starting.find(':') != std::string::npos;
                                 explain_start(*record, found == warnings->end() ? nullptr : &found->second,
                                               is_told ? "" : " (no warnings; a large image takes its time)");
                               }
                             }});
}

/// `otherwise`: what is said without a warning.
void KubernetesJobs::explain_start(Record& record, const PodWarning* warning, const std::string& otherwise) {
  const std::int64_t now = clock_.monotonic_microseconds();
  if (warning != nullptr && warning->time != record.warning) {
    record.warning = warning->time;
    record.warned = now;
  }
  const bool holds = warning != nullptr && now - record.warned < kWarningHolds;
  record.trouble = record.starting + (holds ? ": " + warning->cause : otherwise);
  record.hopeless = holds && warning->hopeless;
  tell_waiting(record, record.trouble, fmt::format("Pod is pending: {}", record.trouble), record.hopeless);
}

}  // namespace metaflow::kube
