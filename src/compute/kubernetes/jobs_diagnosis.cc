// The part of KubernetesJobs that finds out why a job has no pod, and why a pod does not start.
#include <utility>

#include "base/format.h"
#include "compute/kubernetes/kubernetes_jobs.h"
#include "compute/kubernetes/run_jobs.h"

namespace metaflow::kube {

namespace {

constexpr std::int64_t kSweepEvery = 15'000'000;    // microseconds
constexpr std::int64_t kPodTimeout = 10'000'000;    // until a job has a pod, and from then until the pod is ready
constexpr std::int64_t kWarningLife = 300'000'000;  // a node retries, and warns again, sooner than this
constexpr std::size_t kMaxReads = 8;                // objects that are read one by one; more are listed
constexpr const char* kSuspended = "The job is suspended: a queue of the cluster, such as Kueue, holds it back.";
constexpr const char* kJobDeleted = "The job was deleted externally before it had a pod.";

}  // namespace

/// Waits until the last sweep was answered: a slow server gets no further requests.
void KubernetesJobs::sweep_later(Place& place) {
  if (!place.sweep && place.asking == 0) place.sweep = loop_.after(kSweepEvery, [this, &place] { sweep(place); });
}

void KubernetesJobs::answered(Place& place) {
  if (--place.asking == 0) sweep_later(place);
}

/// Quotas and the like keep a job from creating its pod, and only its events show that. The requests are bounded by the
/// number of unfinished jobs: few jobs are read one by one, many by one list of those that have not succeeded.
void KubernetesJobs::sweep(Place& place) {
  place.sweep.reset();
  if (done_) return;
  bool any = false;
  std::vector<Id> due;
  for (const auto& [id, record] : records_) {
    if (record->place != &place || record->ended) continue;
    any = true;
    if (is_without_pod(*record, place)) due.push_back(id);
  }
  if (!any) return;
  ++place.asking;  // until all requests are sent
  explain_starts(place);
  if (due.size() <= kMaxReads) {
    for (const Id id : due) look_for_job(place, id);
  } else {
    ask_for_warnings(
        place, "involvedObject.kind=Job", [this, &place](const Json& event) { explain(place, event); }, [] {},
        [](bool) {});
    look_for_jobs(place);
  }
  answered(place);
}

/// Whether the job should have a pod by now, and has none.
bool KubernetesJobs::is_without_pod(const Record& record, const Place& place) const {
  return record.place == &place && record.pod.empty() && !record.uid.empty() && !record.ended && !record.unwanted &&
         clock_.monotonic_microseconds() - record.created > kPodTimeout;
}

void KubernetesJobs::ask_for_warnings(Place& place, const std::string& fields,
                                      std::function<void(const Json&)> on_warning, std::function<void()> restart,
                                      std::function<void(bool failed)> done) {
  ++place.asking;
  place.own->api().list(Resource::events, Selection{.fields = fields + ",type=Warning"},
                        {.on_object = [on_warning = std::move(on_warning)](Json&& event) { on_warning(event); },
                         .on_restart = std::move(restart),
                         .done =
                             [this, &place, done = std::move(done)](ListEnd&& end) {
                               done(end.failure.has_value());
                               answered(place);
                             }});
}

void KubernetesJobs::look_for_job(Place& place, Id id) {
  const std::string job = find(id)->name;
  ask_for_warnings(
      place, "involvedObject.kind=Job,involvedObject.name=" + job,
      [this, &place](const Json& event) { explain(place, event); }, [] {}, [](bool) {});
  ++place.asking;
  place.own->api().get(Resource::jobs, job, [this, &place, id, job](Answer&& answer) {
    Record* record = find(id);
    const bool is_gone = answer.failure && answer.failure->status == 404;
    if (record != nullptr && record->name == job && is_without_pod(*record, place)) {
      if (is_gone) events_.on_no_job(id, kJobDeleted, false);
      if (!answer.failure) note_suspension(*record, is_suspended(answer.object));
    }
    answered(place);
  });
}

/// Finds jobs that no longer exist, though they should.
void KubernetesJobs::look_for_jobs(Place& place) {
  auto there = std::make_shared<std::unordered_map<std::string, bool>>();  // whether they are suspended, by name
  ++place.asking;
  place.own->api().list(Resource::jobs, unfinished_or_failed(run_key_),
                        {.on_object =
                             [there](Json&& job) {
                               there->insert_or_assign(text_at(job, {"metadata", "name"}), is_suspended(job));
                             },
                         .on_restart = [there] { there->clear(); },
                         .done =
                             [this, &place, there, asked = clock_.monotonic_microseconds()](ListEnd&& end) {
                               std::vector<Id> gone;
                               for (const auto& [id, record] : records_) {
                                 const bool old = asked - record->created > kPodTimeout;
                                 if (end.failure || !old || !is_without_pod(*record, place)) continue;
                                 const auto found = there->find(record->name);
                                 if (found == there->end()) {
                                   gone.push_back(id);
                                 } else {
                                   note_suspension(*record, found->second);
                                 }
                               }
                               for (const Id id : gone) events_.on_no_job(id, kJobDeleted, false);
                               answered(place);
                             }});
}

void KubernetesJobs::explain(Place& place, const Json& event) {
  Record* record = find_job(text_at(event, {"involvedObject", "name"}));
  if (record == nullptr || record->place != &place || record->uid != text_at(event, {"involvedObject", "uid"}) ||
      !record->pod.empty() || record->unwanted || record->suspended)
    return;
  const NoPod no_pod = why_no_pod(event);
  record->trouble = no_pod.cause;
  record->hopeless = record->hopeless || no_pod.hopeless;
  report_waiting(*record, record->trouble, record->trouble, record->hopeless);
}

/// Called for a job without a pod.
void KubernetesJobs::note_suspension(Record& record, bool suspended) {
  if (std::exchange(record.suspended, suspended) == suspended) return;
  record.clear_trouble();
  if (suspended) record.trouble = kSuspended;
  report_waiting(record, record.trouble, record.trouble, false);
}

/// A pod disappears without a reason both when it is deleted externally and when its job is suspended. Only the job
/// shows which it was.
void KubernetesJobs::ask_why_deleted(Record& record, PodState&& state, const Json& pod) {
  record.reading_reason = true;
  record.place->own->api().get(Resource::jobs, record.name,
                               [this, id = record.order.id(), job = record.name, state = std::move(state),
                                since = text_at(pod, {"metadata", "creationTimestamp"})](Answer&& answer) mutable {
                                 Record* asked = find(id);
                                 if (asked == nullptr || asked->name != job) return;
                                 asked->reading_reason = false;
                                 const bool suspended = !answer.failure && was_suspended(answer.object, since);
                                 on_deleted(*asked, std::move(state), suspended);
                                 asked = find(id);
                                 if (asked != nullptr && !asked->ended && asked->pod.empty())
                                   note_suspension(*asked, is_suspended(answer.object));
                               });
}

/// A job whose task had not begun waits in its queue again, and gets another pod later.
void KubernetesJobs::on_deleted(Record& record, PodState&& state, bool suspended) {
  if (!suspended || record.unwanted) return on_ended(record, state);
  if (record.running || state.ran) {
    end_by_suspension(state);
    return on_ended(record, state);
  }
  record.previous_pod = std::exchange(record.pod, {});
  record.node.clear();
  record.waiting.clear();
  record.starting.clear();
  record.created = clock_.monotonic_microseconds();
  record.clear_trouble();
  report_waiting(record, {}, {}, false);
  sweep_later(*record.place);
}

bool KubernetesJobs::is_slow_to_start(const Record& record, const Place& place) const {
  return record.place == &place && !record.starting.empty() && !record.running && !record.ended && !record.unwanted &&
         clock_.monotonic_microseconds() - record.since > kPodTimeout;
}

/// While a node prepares a pod, only events show what delays it.
void KubernetesJobs::explain_starts(Place& place) {
  std::vector<std::string> pods;
  for (const auto& [id, record] : records_) {
    if (is_slow_to_start(*record, place)) pods.push_back(record->pod);
  }
  if (pods.empty()) return;
  const std::string fields =
      "involvedObject.kind=Pod,reason!=FailedScheduling,reason!=MissingClusterDNS,reason!=DNSConfigForming";
  if (pods.size() > kMaxReads) return explain_starts(place, fields, {});
  for (const std::string& pod : pods) explain_starts(place, fields + ",involvedObject.name=" + pod, pod);
}

/// `pod`: the one to explain; empty: all.
void KubernetesJobs::explain_starts(Place& place, const std::string& fields, const std::string& pod) {
  auto warnings = std::make_shared<std::unordered_map<std::string, PodWarning>>();  // the last ones, by pod
  ask_for_warnings(
      place, fields,
      [warnings](const Json& event) {
        PodWarning& last = (*warnings)[text_at(event, {"involvedObject", "name"})];
        PodWarning warning = warning_of(event);
        if (last.time <= warning.time) last = std::move(warning);
      },
      [warnings] { warnings->clear(); },
      [this, &place, pod, warnings](bool failed) {
        for (const auto& [id, record] : records_) {
          if (!is_slow_to_start(*record, place) || (!pod.empty() && record->pod != pod)) continue;
          const auto found = warnings->find(record->pod);
          const bool has_reason = failed || record->starting.find(':') != std::string::npos;
          explain_start(*record, found == warnings->end() ? nullptr : &found->second,
                        has_reason ? "" : " (no warnings; a large image takes its time)");
        }
      });
}

/// `otherwise`: the text without a warning.
void KubernetesJobs::explain_start(Record& record, const PodWarning* warning, const std::string& otherwise) {
  const std::int64_t now = clock_.monotonic_microseconds();
  if (warning != nullptr && warning->time != record.warning) {
    record.warning = warning->time;
    record.warned = now;
  }
  const bool holds = warning != nullptr && now - record.warned < kWarningLife;
  record.trouble = record.starting + (holds ? ": " + warning->cause : otherwise);
  record.hopeless = holds && warning->hopeless;
  report_waiting(record, record.trouble, fmt::format("Pod is pending: {}", record.trouble), record.hopeless);
}

}  // namespace metaflow::kube
