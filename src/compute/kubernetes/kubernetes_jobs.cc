#include "compute/kubernetes/kubernetes_jobs.h"

#include <algorithm>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "compute/kubernetes/kubernetes_log.h"

namespace metaflow::kube {

using compute::AttemptId;
using compute::JobState;

namespace {

constexpr std::size_t kCreatedAtATime = 64;
// Limits of the log of a failed init container.
constexpr int kLinesOfOthers = 20;
constexpr std::uint64_t kBytesOfOthers = 1U << 20U;

/// A node alternates between pulling an image and backing off: that is not news.
bool is_pull(std::string_view trouble) {
  return trouble.find("ErrImagePull") != trouble.npos || trouble.find("ImagePullBackOff") != trouble.npos;
}

std::string label(const Json& object, const char* name) { return text_at(object, {"metadata", "labels", name}); }

}  // namespace

KubernetesJobs::KubernetesJobs(base::EventLoop& loop, base::Clock& clock, compute::JobEvents& events,
                               store::FlowStore& store, Access access, KubernetesOptions options)
    : loop_(loop),
      clock_(clock),
      events_(events),
      store_(store),
      access_(std::move(access)),
      options_(std::move(options)),
      run_key_(run_key(store.flow(), options_.run, store.storage().root())),
      secret_(options_.delivery.flow_in_image.empty() ? secret_name(run_key_) : ""),
      timers_(loop) {}

KubernetesJobs::~KubernetesJobs() {
  for (auto& [name, place] : places_) {
    if (place.sweep) loop_.cancel(*place.sweep);
  }
}

KubernetesJobs::Record* KubernetesJobs::find(Id id) {
  const auto found = records_.find(id);
  return found == records_.end() ? nullptr : found->second.get();
}

KubernetesJobs::Record* KubernetesJobs::find_job(const std::string& job) {
  const auto found = by_job_.find(job);
  return found == by_job_.end() ? nullptr : find(found->second);
}

std::vector<AttemptId> KubernetesJobs::ids_in(const Place& place) const {
  std::vector<Id> ids;
  for (const auto& [id, record] : records_) {
    if (record->place == &place) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

KubernetesJobs::Place& KubernetesJobs::place_of(const PodRequest& request) {
  const auto [found, is_new] = places_.try_emplace(request.name_space);
  Place& place = found->second;
  if (!is_new) return place;
  RunNamespace::Handler handler;
  handler.on_pod = [this](Change change, const Json& pod) { on_pod(change, pod); };
  handler.on_ready = [this, &place] {
    for (const Id id : std::exchange(place.waiting, {})) create_job(id);
  };
  handler.on_trouble = [this, &place](const std::string& words) { events_.on_trouble(ids_in(place), words); };
  handler.on_failure = [this, &place](const std::string& words) { fail_all(place, words); };
  place.own = std::make_unique<RunNamespace>(
      loop_, clock_, access_, request.name_space, run_key_, secret_,
      [this] { return compute::link_to(store_, options_.delivery.package); }, std::move(handler));
  return place;
}

// --- from attempt to job

void KubernetesJobs::submit(const compute::JobOrder& order) {
  const Id id = order.id();
  auto record = std::make_unique<Record>();
  record->order = order;
  record->request = &options_.requests.at(order.attempt->step.step);
  record->place = &place_of(*record->request);
  Place& place = *record->place;
  records_.insert_or_assign(id, std::move(record));
  if (place.own->ready()) {
    create_job(id);
  } else {
    place.waiting.push_back(id);
  }
}

Json KubernetesJobs::manifest_of(const Record& record) const {
  const compute::Attempt& attempt = record.attempt();
  const JobIdentity identity{
      store_.flow(), options_.run, attempt.step.step, attempt.step.task, attempt.step.retry_count, options_.user};
  std::vector<std::string> arguments{"supervise", "--max-log-size", std::to_string(options_.max_log_size), "--"};
  for (std::string& word : compute::to_command_line(attempt.step)) arguments.push_back(std::move(word));
  Variables environment = options_.environment;
  for (const std::string& variable : attempt.environment) {
    const std::size_t equals = variable.find('=');
    environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return job_manifest(identity, record.name, run_key_, *record.request,
                      delivery_of(options_.delivery, secret_, arguments), environment, options_.job_seconds);
}

void KubernetesJobs::create_job(Id id) {
  to_create_.push_back(id);
  create_jobs();
}

/// Limits the unanswered creations: manifests are large, and jobs that were not created need not be deleted.
void KubernetesJobs::create_jobs() {
  while (creating_ < kCreatedAtATime && !to_create_.empty()) {
    const Id id = to_create_.front();
    to_create_.pop_front();
    Record* record = find(id);
    if (record != nullptr && !record->unwanted && record->name.empty()) start_job(*record);
  }
}

void KubernetesJobs::start_job(Record& record) {
  const compute::StepArguments& step = record.attempt().step;
  ++creating_;
  record.name = job_name({store_.flow(), options_.run, step.step, step.task, step.retry_count, options_.user},
                         store_.storage().root(), record.order.tries);
  record.creating = true;
  by_job_[record.name] = record.order.id();
  record.place->own->api().create(Resource::jobs, manifest_of(record),
                                  [this, id = record.order.id(), &place = *record.place, job = record.name](
                                      Answer&& answer) { on_created(id, place, job, std::move(answer)); });
}

void KubernetesJobs::on_created(Id id, Place& place, const std::string& job, Answer&& answer) {
  const bool is_abandoned = abandoned_.erase(job) > 0;
  // The job may exist although no answer said so. A creation that is retried after all jobs were deleted creates the
  // job again.
  if (answer.failure ? answer.uncertain : is_abandoned) remove_job(place, id, job);
  --creating_;
  create_jobs();
  end_if_idle();
  Record* record = find(id);
  if (record == nullptr || record->name != job) return;
  record->creating = false;
  if (answer.failure) {
    events_.on_no_job(id, fmt::format("Unable to launch Kubernetes job. {}", answer.failure->advised()),
                      !answer.failure->transient);
    return;
  }
  record->uid = text_at(answer.object, {"metadata", "uid"});
  record->created = clock_.monotonic_microseconds();
  announce(*record);
  if (record->unwanted) {
    record->removing = false;  // it may have been created after all were deleted
    return remove_job(*record);
  }
  note_suspension(*record, is_suspended(answer.object));
  sweep_later(place);
}

void KubernetesJobs::announce(const Record& record) { events_.on_job(record.order.id(), record.name); }

// --- states of the pods

void KubernetesJobs::on_pod(Change change, const Json& pod) {
  std::string job = label(pod, "batch.kubernetes.io/job-name");
  if (job.empty()) job = label(pod, "job-name");
  const std::string name = text_at(pod, {"metadata", "name"});
  if (job.empty())
    job = name.substr(0, name.rfind('-'));  // all that is known of a pod that was deleted between two watches
  Record* record = find_job(job);
  if (record == nullptr && change == Change::added) return remove_surplus(job, pod);
  if (record == nullptr || (!record->pod.empty() && record->pod != name) || record->previous_pod == name) return;
  if (record->reading_reason) return;
  if (record->ended) {
    record->outlived = change != Change::deleted && state_of_pod(pod).others_run;
    return;
  }
  announce(*record);
  if (record->pod.empty()) record->clear_trouble();
  record->suspended = false;
  record->pod = name;
  PodState state = state_of_pod(pod);
  if (!state.node.empty()) record->node = state.node;
  if (change == Change::deleted && state.phase != PodPhase::ended) {
    state.phase = PodPhase::ended;
    state.by = EndedBy::cluster;
    state.succeeded = false;
    state.cause = cause_of_vanished_pod(record->node);
    state.deleted = true;
  }
  if (state.deleted && !record->unwanted) return ask_why_deleted(*record, std::move(state), pod);
  switch (state.phase) {
    case PodPhase::pending: return on_waiting(*record, state);
    case PodPhase::running: return on_running(*record, state);
    case PodPhase::ended: return on_ended(*record, state);
  }
}

void KubernetesJobs::on_waiting(Record& record, const PodState& state) {
  if (record.starting != state.starting) {
    record.starting = state.starting;
    record.since = clock_.monotonic_microseconds();
    record.clear_trouble();
  }
  if (!record.trouble.empty()) return;  // its status has no news
  if (!is_pull(state.waiting) || !is_pull(record.waiting)) record.waiting = state.waiting;
  report_waiting(record, record.waiting, fmt::format("Pod is pending: {}", record.waiting), state.hopeless);
}

void KubernetesJobs::report_waiting(const Record& record, const std::string& trouble, const std::string& notice,
                                    bool hopeless) {
  events_.on_state(record.order.id(), {.trouble = trouble, .notice = notice, .hopeless = hopeless});
}

/// Reports the present state. A problem that only events show remains as long as the status is the same.
void KubernetesJobs::observe(Id id, std::function<void(const JobState&)> done) {
  const Record* record = find(id);
  if (record == nullptr) return;
  if (record->pod.empty()) return done({.trouble = record->trouble, .hopeless = record->hopeless});
  record->place->own->api().get(Resource::pods, record->pod, [this, id, done = std::move(done)](Answer&& answer) {
    const Record* waiting = find(id);
    if (waiting == nullptr) return;
    if (answer.failure) return done({.trouble = answer.failure->text, .hopeless = true});
    const PodState state = state_of_pod(answer.object);
    const bool is_held = !waiting->trouble.empty() && state.starting == waiting->starting;
    done({.trouble = is_held ? waiting->trouble : state.waiting, .hopeless = is_held || state.hopeless});
  });
}

void KubernetesJobs::on_running(Record& record, const PodState& state) {
  record.running = true;
  events_.on_state(
      record.order.id(),
      {.phase = JobState::Phase::running,
       .trouble = state.waiting,
       .notice = state.waiting,
       .where = record.node.empty() ? "Pod is running." : fmt::format("Pod is running on node {}.", record.node)});
}

void KubernetesJobs::on_ended(Record& record, const PodState& state) {
  // The job would create another pod, unknown to the scheduler.
  if (state.deleted) remove_job(record);
  record.ended = true;
  record.succeeded = state.succeeded;
  record.outlived = state.others_run;
  record.failed_container = state.failed_container;
  events_.on_state(record.order.id(), {.phase = JobState::Phase::ended, .end = state});
}

std::unique_ptr<compute::LiveLog> KubernetesJobs::follow(Id id) {
  const Record& record = *find(id);
  return std::make_unique<KubernetesLog>(record.place->own->api(), record.pod, events_, id);
}

void KubernetesJobs::read_kept_log(Id id, std::function<void(const std::string& failure)> done) {
  const Record* record = find(id);
  if (record == nullptr || record->failed_container.empty()) return done({});
  record->place->own->api().read_log(
      {.pod = record->pod,
       .container = record->failed_container,
       .tail_lines = kLinesOfOthers,
       .limit_bytes = kBytesOfOthers},
      [this, id](std::string_view piece) { events_.on_log(id, store::Stream::err, piece); },
      [done = std::move(done)](Answer&& answer) { done(answer.failure ? answer.failure->text : std::string()); });
}

/// Called when nothing can be done in a namespace.
void KubernetesJobs::fail_all(Place& place, const std::string& words) {
  const std::vector<Id> all = ids_in(place);
  std::vector<Record*> there;
  for (const Id id : all) {
    Record* record = find(id);
    record->unwanted = true;
    if (!record->uid.empty()) there.push_back(record);
  }
  remove_jobs(there);
  for (const Id id : all) events_.on_no_job(id, words, true);
}

}  // namespace metaflow::kube
