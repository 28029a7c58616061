// The part of the backend that finds out what is wrong: why a job has no pod, and why a pod does not start.

#include "base/format.h"
#include "compute/kubernetes/kubernetes_backend.h"

namespace metaflow::kube {

namespace {

constexpr std::int64_t kSweepEvery = 15'000'000;     // microseconds
constexpr std::int64_t kPodDue = 10'000'000;         // after its job, a pod is there, and after that ready
constexpr std::int64_t kWarningHolds = 300'000'000;  // a node tries again, and warns again, sooner

}  // namespace

void KubernetesBackend::sweep_later(Place& place) {
  if (!place.sweep) place.sweep = loop_.after(kSweepEvery, [this, &place] { sweep(place); });
}

/// Quotas and the like keep a job from making its pod; only its events tell. Two calls for all of them.
void KubernetesBackend::sweep(Place& place) {
  place.sweep.reset();
  if (over_) return;
  const std::int64_t now = clock_.monotonic_microseconds();
  bool any = false;
  bool due = false;
  bool is_slow = false;
  for (const auto& [id, entry] : entries_) {
    if (entry->place != &place || entry->ended) continue;
    any = true;
    due = due || (entry->pod.empty() && !entry->uid.empty() && now - entry->created > kPodDue);
    is_slow = is_slow || is_slow_to_start(*entry, place);
  }
  if (!any) return;
  sweep_later(place);
  if (is_slow) explain_starts(place);
  if (!due) return;
  place.own->api().list(Resource::events, Selection{.fields = "involvedObject.kind=Job,type=Warning"},
                        {.on_object = [this, &place](Json&& event) { explain(place, event); }});
  auto there = std::make_shared<std::unordered_map<std::string, bool>>();
  place.own->api().list(Resource::jobs, Selection{.labels = fmt::format("{}={}", kRunLabel, run_key_)},
                        {.on_object =
                             [there](Json&& job) {
                               (*there)[text_at(job, {"metadata", "name"})] = true;
                             },
                         .on_restart = [there] { there->clear(); },
                         .done =
                             [this, &place, there, now](ListEnd&& end) {
                               if (end.failure) return;
                               std::vector<Id> gone;
                               for (const auto& [id, entry] : entries_) {
                                 const bool old = !entry->uid.empty() && now - entry->created > kPodDue;
                                 if (entry->place == &place && old && entry->pod.empty() && !entry->stopping &&
                                     !there->contains(entry->job))
                                   gone.push_back(id);
                               }
                               for (const Id id : gone)
                                 fail(id, "The job is gone: somebody deleted it before it had a pod.");
                             }});
}

void KubernetesBackend::explain(Place& place, const Json& event) {
  const std::string uid = text_at(event, {"involvedObject", "uid"});
  const auto found = by_job_.find(text_at(event, {"involvedObject", "name"}));
  Entry* entry = found == by_job_.end() ? nullptr : find(found->second);
  if (entry == nullptr || entry->place != &place || entry->uid != uid || !entry->pod.empty() || entry->stopping) return;
  const NoPod no_pod = why_no_pod(event);
  entry->trouble = no_pod.cause;
  notices_.waits(entry->attempt.id, entry->attempt.step.step, entry->trouble);
  if (!entry->hopeless && no_pod.hopeless) {
    set_timer(*entry, options_.patience, &KubernetesBackend::give_up);
    entry->hopeless = true;
  }
}

bool KubernetesBackend::is_slow_to_start(const Entry& entry, const Place& place) const {
  return entry.place == &place && !entry.starting.empty() && !entry.running && !entry.ended && !entry.stopping &&
         clock_.monotonic_microseconds() - entry.since > kPodDue;
}

/// While a node makes a pod ready, only events tell what keeps it. A call for all of them.
void KubernetesBackend::explain_starts(Place& place) {
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
                               for (const auto& [id, entry] : entries_) {
                                 if (!is_slow_to_start(*entry, place)) continue;
                                 const auto found = warnings->find(entry->pod);
                                 const bool is_told = end.failure || entry->starting.find(':') != std::string::npos;
                                 explain_start(*entry, found == warnings->end() ? nullptr : &found->second,
                                               is_told ? "" : " (no warnings; a large image takes its time)");
                               }
                             }});
}

/// `otherwise`: what is said without a warning.
void KubernetesBackend::explain_start(Entry& entry, const PodWarning* warning, const std::string& otherwise) {
  const std::int64_t now = clock_.monotonic_microseconds();
  if (warning != nullptr && warning->time != entry.warning) {
    entry.warning = warning->time;
    entry.warned = now;
  }
  const bool holds = warning != nullptr && now - entry.warned < kWarningHolds;
  entry.trouble = entry.starting + (holds ? ": " + warning->cause : otherwise);
  notices_.waits(entry.attempt.id, entry.attempt.step.step, fmt::format("Pod is pending: {}", entry.trouble));
  if (!holds || !warning->hopeless) return drop_timer(entry);
  if (entry.hopeless) return;
  set_timer(entry, options_.patience, &KubernetesBackend::give_up);
  entry.hopeless = true;
}

}  // namespace metaflow::kube
