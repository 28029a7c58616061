#include "compute/kubernetes/kubernetes_backend.h"

#include <algorithm>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "compute/package/bootstrap.h"
#include "compute/verdict.h"

namespace metaflow::kube {

using compute::AttemptId;
using compute::Verdict;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kLogEnd = 5 * kSecond;  // between a pod's end and that of its log
constexpr std::int64_t kBetweenTries = 10 * kSecond;
constexpr std::size_t kReaders = 8;  // threads that read what attempts have left
constexpr std::size_t kCreatedAtATime = 64;
constexpr std::int64_t kLookEvery = 15 * kSecond;  // for the result of a task whose node is silent
constexpr int kMostTries = 3;                      // of what goes wrong before a task begins

/// An image that cannot be pulled is tried, and then not tried for a while, in turn: that is no news.
bool is_pull(std::string_view trouble) {
  return trouble.starts_with("ErrImagePull") || trouble.starts_with("ImagePullBackOff");
}

std::string label(const Json& object, const char* name) { return text_at(object, {"metadata", "labels", name}); }

}  // namespace

KubernetesBackend::KubernetesBackend(base::EventLoop& loop, base::Clock& clock, compute::BackendEvents& events,
                                     store::FlowStore& store, compute::LeftoverReader::Open open, Access access,
                                     KubernetesOptions options)
    : loop_(loop),
      clock_(clock),
      events_(events),
      store_(store),
      access_(std::move(access)),
      options_(std::move(options)),
      run_key_(run_key(store.flow(), options_.run, store.storage().root())),
      secret_(options_.delivery.flow_in_image.empty() ? secret_name(run_key_) : ""),
      notices_(loop, clock, events),
      leftovers_(loop, std::move(open), kReaders) {}

KubernetesBackend::~KubernetesBackend() {
  for (auto& [id, entry] : entries_) {
    drop_timer(*entry);
    drop_log(*entry);
  }
  for (auto& [name, place] : places_) {
    if (place.sweep) loop_.cancel(*place.sweep);
  }
}

KubernetesBackend::Entry* KubernetesBackend::find(Id id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

store::TaskRef KubernetesBackend::task_of(const Entry& entry) const {
  return {entry.attempt.step.run, entry.attempt.step.step, entry.attempt.step.task};
}

void KubernetesBackend::set_timer(Entry& entry, std::int64_t microseconds, void (KubernetesBackend::*what)(Id)) {
  drop_timer(entry);
  entry.timer = loop_.after(microseconds, [this, what, id = entry.attempt.id] {
    Entry* due = find(id);
    if (due == nullptr) return;
    due->timer.reset();
    (this->*what)(id);
  });
}

void KubernetesBackend::drop_timer(Entry& entry) {
  if (entry.timer) loop_.cancel(*entry.timer);
  entry.timer.reset();
  entry.hopeless = false;
}

void KubernetesBackend::drop_log(Entry& entry) {
  if (entry.log == nullptr) return;
  --streams_;
  entry.log.reset();
}

KubernetesBackend::Place& KubernetesBackend::place_of(const PodRequest& request) {
  const auto [found, is_new] = places_.try_emplace(request.name_space);
  Place& place = found->second;
  if (!is_new) return place;
  RunNamespace::Handler handler;
  handler.on_pod = [this](Change change, const Json& pod) { on_pod(change, pod); };
  handler.on_ready = [this, &place] {
    for (const Id id : std::exchange(place.waiting, {})) create_job(id);
  };
  handler.on_trouble = [this, &place](const std::string& words) {
    for (const auto& [id, entry] : entries_) {
      if (entry->place == &place) notices_.tell(id, entry->attempt.step.step, words);
    }
  };
  handler.on_failure = [this, &place](const std::string& words) { fail_all(place, words); };
  place.own = std::make_unique<RunNamespace>(
      loop_, clock_, access_, request.name_space, run_key_, secret_,
      [this] { return compute::link_to(store_, options_.delivery.package); }, std::move(handler));
  return place;
}

// --- from attempt to job

void KubernetesBackend::submit(std::span<const compute::Attempt> attempts) {
  for (const compute::Attempt& attempt : attempts) {
    auto entry = std::make_unique<Entry>();
    entry->attempt = attempt;
    entry->request = &options_.requests.at(attempt.step.step);
    entry->place = &place_of(*entry->request);
    Place& place = *entry->place;
    entries_.emplace(attempt.id, std::move(entry));
    if (place.own->ready()) {
      create_job(attempt.id);
    } else {
      place.waiting.push_back(attempt.id);
    }
  }
}

Json KubernetesBackend::manifest_of(const Entry& entry) const {
  const compute::Attempt& attempt = entry.attempt;
  const JobIdentity identity{
      store_.flow(), options_.run, attempt.step.step, attempt.step.task, attempt.step.retry_count, options_.user};
  std::vector<std::string> arguments{"supervise", "--max-log-size", std::to_string(options_.max_log_size), "--"};
  for (std::string& word : compute::to_command_line(attempt.step)) arguments.push_back(std::move(word));
  Variables environment = options_.environment;
  for (const std::string& variable : attempt.environment) {
    const std::size_t equals = variable.find('=');
    environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return job_manifest(identity, entry.job, run_key_, *entry.request, delivery_of(options_.delivery, secret_, arguments),
                      environment, options_.job_seconds);
}

void KubernetesBackend::create_job(Id id) {
  to_create_.push_back(id);
  create_jobs();
}

/// As many at a time as answers are awaited for: manifests are large, and what was not sent need not be deleted.
void KubernetesBackend::create_jobs() {
  while (creating_ < kCreatedAtATime && !to_create_.empty()) {
    const Id id = to_create_.front();
    to_create_.pop_front();
    if (Entry* entry = find(id)) start_job(*entry);
  }
}

void KubernetesBackend::start_job(Entry& started) {
  Entry* entry = &started;
  const Id id = started.attempt.id;
  if (entry->stopping) return conclude(id);
  ++creating_;
  const compute::StepArguments& step = entry->attempt.step;
  entry->job = job_name({store_.flow(), options_.run, step.step, step.task, step.retry_count, options_.user},
                        store_.storage().root(), entry->tries);
  by_job_[entry->job] = id;
  entry->requested = true;
  entry->creating = true;
  entry->place->own->api().create(Resource::jobs, manifest_of(*entry),
                                  [this, id, &place = *entry->place, job = entry->job](Answer&& answer) {
                                    on_created(id, place, job, std::move(answer));
                                  });
}

void KubernetesBackend::on_created(Id id, Place& place, const std::string& job, Answer&& answer) {
  --creating_;
  create_jobs();
  Entry* entry = find(id);
  const bool is_abandoned = abandoned_.erase(job) > 0;
  // A job may be there though nobody told us. One whose creation is tried again, after all jobs were deleted and its
  // pod was seen to go, is there anew.
  if (answer.failure ? answer.uncertain : is_abandoned) remove_job(place, id, job);
  if (entry == nullptr || entry->job != job) return;
  entry->creating = false;
  if (answer.failure) {
    if (entry->stopping) return conclude(id);
    Verdict verdict;
    verdict.cause = fmt::format("Unable to launch Kubernetes job. {}", answer.failure->advised());
    verdict.hopeless = !answer.failure->transient;
    return finish(id, verdict);
  }
  entry->uid = text_at(answer.object, {"metadata", "uid"});
  entry->created = clock_.monotonic_microseconds();
  announce(*entry);
  if (entry->stopping) return remove_job(*entry);
  sweep_later(place);
}

void KubernetesBackend::announce(Entry& entry) {
  if (entry.announced || over_) return;
  entry.announced = true;
  events_.on_started(entry.attempt.id, fmt::format("job {}", entry.job));
}

// --- what becomes of the pods

void KubernetesBackend::on_pod(Change change, const Json& pod) {
  std::string job = label(pod, "batch.kubernetes.io/job-name");
  if (job.empty()) job = label(pod, "job-name");
  const std::string name = text_at(pod, {"metadata", "name"});
  if (job.empty()) job = name.substr(0, name.rfind('-'));  // of one that went while nobody looked, no more is known
  const auto found = by_job_.find(job);
  Entry* entry = found == by_job_.end() ? nullptr : find(found->second);
  if (entry == nullptr && change == Change::added) return remove_surplus(job, pod);
  if (entry == nullptr || entry->ended || (!entry->pod.empty() && entry->pod != name)) return;
  announce(*entry);
  if (entry->pod.empty()) entry->trouble.clear();
  entry->pod = name;
  PodState state = state_of_pod(pod);
  if (!state.node.empty()) entry->node = state.node;
  if (change == Change::deleted && state.phase != PodPhase::ended) {
    state.phase = PodPhase::ended;
    state.by = EndedBy::cluster;
    state.succeeded = false;
    state.cause = cause_of_vanished_pod(entry->node);
    // The job would make another pod, of which nobody knows.
    remove_job(*entry);
  }
  switch (state.phase) {
    case PodPhase::pending: return on_waiting(*entry, state);
    case PodPhase::running: return on_running(*entry, state);
    case PodPhase::ended: return on_ended(*entry, std::move(state));
  }
}

/// An API server that was away may make the job controller believe what was true before, and make a second pod of a job
/// whose pod has ended. Nobody waits for it, and the run's secret may be gone before it starts.
void KubernetesBackend::remove_surplus(const std::string& job, const Json& pod) {
  const std::string name_space = text_at(pod, {"metadata", "namespace"});
  const auto place = places_.find(name_space);
  if (over_ || place == places_.end() || job.empty() || state_of_pod(pod).phase == PodPhase::ended) return;
  ++deletions_;
  place->second.own->api().remove(Resource::jobs, job, [this](Answer&&) { --deletions_; });
}

void KubernetesBackend::on_waiting(Entry& entry, const PodState& state) {
  if (entry.stopping) return;
  if (entry.starting != state.starting) {
    entry.starting = state.starting;
    entry.since = clock_.monotonic_microseconds();
    entry.trouble.clear();
  }
  if (!entry.trouble.empty()) return;  // its status tells nothing new
  if (state.waiting.empty()) {
    notices_.clear(entry.attempt.id);
  } else if (!is_pull(state.waiting) || !is_pull(entry.waiting)) {
    notices_.waits(entry.attempt.id, entry.attempt.step.step, fmt::format("Pod is pending: {}", state.waiting));
  }
  entry.waiting = state.waiting;
  if (state.hopeless) {
    if (!entry.hopeless) {
      set_timer(entry, options_.patience, &KubernetesBackend::give_up);
      entry.hopeless = true;
    }
  } else if (entry.hopeless) {
    drop_timer(entry);
  }
}

/// A pod has waited long enough for what does not come by itself. What its status says now is the cause.
void KubernetesBackend::give_up(Id id) {
  Entry& entry = *find(id);
  if (entry.pod.empty()) return give_up(entry, entry.trouble);
  entry.place->own->api().get(Resource::pods, entry.pod, [this, id](Answer&& answer) {
    Entry* waiting = find(id);
    if (waiting == nullptr || waiting->ended || waiting->running || waiting->stopping) return;
    const PodState state = state_of_pod(answer.object);
    const bool is_held = !waiting->trouble.empty() && state.starting == waiting->starting;
    if (!answer.failure && !state.hopeless && !is_held) return;
    give_up(*waiting, answer.failure ? answer.failure->text : is_held ? waiting->trouble : state.waiting);
  });
}

void KubernetesBackend::give_up(Entry& entry, const std::string& why) {
  Verdict verdict;
  verdict.cause = fmt::format("The pod cannot start, and was given up after {}: {}",
                              base::human_seconds(static_cast<double>(options_.patience) * 1e-6), why);
  verdict.hopeless = true;
  remove_job(entry);
  finish(entry.attempt.id, verdict);
}

void KubernetesBackend::on_running(Entry& entry, const PodState& state) {
  if (entry.running) {
    entry.silent = !state.waiting.empty() && !entry.stopping;
    if (!entry.silent) return notices_.clear(entry.attempt.id);
    notices_.waits(entry.attempt.id, entry.attempt.step.step, state.waiting);
    return look_into_store(entry.attempt.id);
  }
  entry.running = true;
  drop_timer(entry);
  notices_.clear(entry.attempt.id);
  if (entry.stopping) return;
  notices_.tell(entry.attempt.id, entry.attempt.step.step,
                entry.node.empty() ? "Pod is running." : fmt::format("Pod is running on node {}.", entry.node), true);
  follow_log(entry);
}

/// The node of a pod does not answer: the task may end well nevertheless.
void KubernetesBackend::look_into_store(Id id) {
  Entry& entry = *find(id);
  if (entry.reading || !entry.silent) return;
  entry.reading = true;
  leftovers_.read(task_of(entry), entry.attempt.step.retry_count, !entry.shown && !over_,
                  [this, id](compute::Leftover&& left) {
                    Entry* looked = find(id);
                    if (looked == nullptr) return;
                    looked->reading = false;
                    if (left.done) {
                      remove_job(*looked);
                      settle(*looked, std::move(left));
                    } else if (looked->ended || looked->stopping) {
                      conclude(id);
                    } else if (looked->silent) {
                      set_timer(*looked, kLookEvery, &KubernetesBackend::look_into_store);
                    }
                  });
}

void KubernetesBackend::follow_log(Entry& entry) {
  if (streams_ >= options_.streams) return;
  ++streams_;
  const Id id = entry.attempt.id;
  entry.shown = true;
  entry.log = std::make_unique<PodLog>(
      entry.place->own->api(), entry.pod, kContainer,
      [this, id](std::string_view lines) {
        if (!over_) events_.on_output(id, store::Stream::out, lines);
      },
      [this, id](bool whole) {
        Entry* followed = find(id);
        if (followed == nullptr) return;
        drop_log(*followed);
        if (!whole && !over_ && !followed->stopping)
          notices_.tell(id, followed->attempt.step.step,
                        "The live log broke off. When the task has ended, the whole is shown by `logs`.");
        if (followed->ended) close(id);
      });
}

void KubernetesBackend::on_ended(Entry& entry, PodState state) {
  const Id id = entry.attempt.id;
  notices_.clear(id);
  entry.ended = std::move(state);
  // One that was too quick to be seen running.
  if (entry.log != nullptr && !entry.stopping) {
    set_timer(entry, kLogEnd, &KubernetesBackend::close);
  } else {
    close(id);
  }
}

// --- the end of an attempt

/// Its pod has ended, and its log was read or is given up.
void KubernetesBackend::close(Id id) {
  Entry& entry = *find(id);
  drop_timer(entry);
  drop_log(entry);
  conclude(id);
}

void KubernetesBackend::conclude(Id id) {
  Entry& entry = *find(id);
  if (entry.reading) return;
  if (entry.uid.empty() && !entry.ended) return fail(id, "Task was stopped before it began.");
  entry.reading = true;
  auto done = [this, id](compute::Leftover&& left) {
    if (Entry* concluded = find(id)) settle(*concluded, std::move(left));
  };
  const store::TaskRef task = task_of(entry);
  const int attempt = entry.attempt.step.retry_count;
  const bool with_log = !entry.shown && !over_;
  if (entry.stopping) {
    leftovers_.read_killed(task, attempt, with_log, done);
  } else {
    leftovers_.read(task, attempt, with_log, done);
  }
}

void KubernetesBackend::settle(Entry& entry, compute::Leftover&& left) {
  const Id id = entry.attempt.id;
  entry.reading = false;
  const std::optional<std::string> out = std::move(left.out);
  const std::optional<std::string> err = std::move(left.err);
  compute::Judgement judgement = compute::judge(entry.ended ? &*entry.ended : nullptr, std::move(left), entry.running,
                                                entry.attempt.time_limit > 0);
  if (!entry.stopping && try_again(entry, judgement)) return;
  if (judgement.lost) judgement.verdict.uncounted = options_.uncounted_retries;
  if (out && !over_) events_.on_output(id, store::Stream::out, *out);
  if (err && !over_) events_.on_output(id, store::Stream::err, *err);
  finish(id, judgement.verdict);
}

/// What went wrong before the task began does not count as an attempt of it.
bool KubernetesBackend::try_again(Entry& entry, const compute::Judgement& judgement) {
  const Verdict& verdict = judgement.verdict;
  if (judgement.began || over_) return false;
  const int status = entry.ended ? entry.ended->exit_code : -1;
  const bool unfit = verdict.hopeless && status != compute::kPackageMissing && status != compute::kStoreFailed;
  if (unfit || ++entry.tries >= kMostTries) return false;
  notices_.tell(entry.attempt.id, entry.attempt.step.step,
                fmt::format("{} The task had not begun; it is submitted again.", verdict.cause));
  note_end(entry);
  by_job_.erase(entry.job);
  static_cast<JobState&>(entry) = {};
  set_timer(entry, kBetweenTries, &KubernetesBackend::create_job);
  return true;
}

void KubernetesBackend::finish(Id id, const Verdict& verdict) {
  const auto node = entries_.extract(id);
  Entry& entry = *node.mapped();
  drop_timer(entry);
  notices_.clear(id);
  note_end(entry);
  if (entry.creating && entry.stopping) abandoned_.insert(entry.job);
  by_job_.erase(entry.job);
  std::erase(entry.place->waiting, id);
  drop_log(entry);
  if (!over_) events_.on_finished(id, verdict);
}

void KubernetesBackend::fail(Id id, const std::string& cause) {
  Verdict verdict;
  verdict.cause = cause;
  finish(id, verdict);
}

void KubernetesBackend::fail_all(Place& place, const std::string& words) {
  std::vector<Id> all;
  for (const auto& [id, entry] : entries_) {
    if (entry->place == &place) all.push_back(id);
  }
  std::sort(all.begin(), all.end());
  std::vector<Entry*> there;
  for (const Id id : all) {
    Entry* entry = find(id);
    entry->stopping = true;
    if (!entry->uid.empty()) there.push_back(entry);
  }
  remove_jobs(there);
  for (const Id id : all) {
    if (find(id) == nullptr) continue;
    Verdict verdict;
    verdict.cause = words;
    verdict.hopeless = true;
    finish(id, verdict);
  }
}

}  // namespace metaflow::kube
