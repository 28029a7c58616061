#include "compute/kubernetes/kubernetes_backend.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <metaflow/error.h>

#include "base/text.h"
#include "compute/package/bootstrap.h"
#include "compute/verdict.h"

namespace metaflow::kube {

using compute::AttemptId;
using compute::Verdict;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kLogEnd = 5 * kSecond;  // between a pod's end and that of its log
constexpr std::int64_t kSweepEvery = 15 * kSecond;
constexpr std::int64_t kPodDue = 10 * kSecond;    // after its job, a pod is there
constexpr std::int64_t kFarewell = 15 * kSecond;  // for deletions, at the end of a run
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
  entry->place->own->api().create(Resource::jobs, manifest_of(*entry), [this, id, job = entry->job](Answer&& answer) {
    on_created(id, job, std::move(answer));
  });
}

void KubernetesBackend::on_created(Id id, const std::string& job, Answer&& answer) {
  --creating_;
  create_jobs();
  Entry* entry = find(id);
  if (entry == nullptr || entry->job != job) return;
  if (answer.failure) {
    if (entry->stopping) return conclude(id);
    Verdict verdict;
    verdict.cause = fmt::format("Unable to launch Kubernetes job. {}", words_of(*answer.failure));
    verdict.hopeless = !answer.failure->transient;
    return finish(id, verdict);
  }
  entry->uid = text_at(answer.object, {"metadata", "uid"});
  entry->created = clock_.monotonic_microseconds();
  announce(*entry);
  if (entry->stopping) return remove_job(*entry);
  Place& place = *entry->place;
  if (!place.sweep) place.sweep = loop_.after(kSweepEvery, [this, &place] { sweep(place); });
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
  if (entry == nullptr || entry->ended || (!entry->pod.empty() && entry->pod != name)) return;
  announce(*entry);
  entry->pod = name;
  PodState state = state_of_pod(pod);
  if (!state.node.empty()) entry->node = state.node;
  entry->trouble.clear();
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

void KubernetesBackend::on_waiting(Entry& entry, const PodState& state) {
  if (entry.stopping) return;
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
    if (!answer.failure && !state.hopeless) return;
    give_up(*waiting, answer.failure ? answer.failure->text : state.waiting);
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

// --- jobs that have no pod

/// Quotas and the like keep a job from making its pod; only its events tell. Two calls for all of them.
void KubernetesBackend::sweep(Place& place) {
  place.sweep.reset();
  if (over_) return;
  const std::int64_t now = clock_.monotonic_microseconds();
  bool any = false;
  bool due = false;
  for (const auto& [id, entry] : entries_) {
    if (entry->place != &place || entry->ended) continue;
    any = true;
    due = due || (entry->pod.empty() && !entry->uid.empty() && now - entry->created > kPodDue);
  }
  if (!any) return;
  place.sweep = loop_.after(kSweepEvery, [this, &place] { sweep(place); });
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
  leftovers_.read(task_of(entry), entry.attempt.step.retry_count, !entry.shown && !over_,
                  [this, id](compute::Leftover&& left) {
                    if (Entry* concluded = find(id)) settle(*concluded, std::move(left));
                  });
}

void KubernetesBackend::settle(Entry& entry, compute::Leftover&& left) {
  const Id id = entry.attempt.id;
  entry.reading = false;
  const std::optional<std::string> out = std::move(left.out);
  const std::optional<std::string> err = std::move(left.err);
  const compute::Judgement judgement = compute::judge(entry.ended ? &*entry.ended : nullptr, std::move(left),
                                                      entry.running, entry.attempt.time_limit > 0);
  if (!entry.stopping && try_again(entry, judgement)) return;
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
  for (const Id id : all) {
    Entry* entry = find(id);
    if (entry == nullptr) continue;
    if (entry->requested) remove_job(*entry);
    Verdict verdict;
    verdict.cause = words;
    verdict.hopeless = true;
    finish(id, verdict);
  }
}

// --- stopping

void KubernetesBackend::remove_job(Entry& entry) {
  if (std::exchange(entry.removing, true)) return;
  ++deletions_;
  entry.place->own->api().remove(Resource::jobs, entry.job, [this, id = entry.attempt.id](Answer&&) {
    --deletions_;
    Entry* removed = find(id);
    if (removed == nullptr || !removed->stopping) return;
    removed->removed = true;
    // Without a pod there is nothing to wait for.
    if (removed->forced || (removed->pod.empty() && !removed->ended)) conclude(id);
  });
}

void KubernetesBackend::stop(std::span<const AttemptId> attempts, compute::Stop how) {
  for (const Id id : attempts) {
    Entry* entry = find(id);
    if (entry == nullptr) continue;
    const bool first = !entry->stopping;
    entry->stopping = true;
    if (how == compute::Stop::force) entry->forced = true;
    if (!entry->requested) {  // there is no job, and will be none
      drop_timer(*entry);
      loop_.after(0, [this, id] {
        if (find(id) != nullptr) conclude(id);
      });
      continue;
    }
    if (first && !entry->uid.empty()) remove_job(*entry);
    if (entry->removed && entry->forced)
      loop_.after(0, [this, id] {
        if (find(id) != nullptr) conclude(id);
      });
  }
}

void KubernetesBackend::end() {
  over_ = true;
  const std::int64_t until = clock_.monotonic_microseconds() + kFarewell;
  // A timer, since a quiet loop would wait for ever.
  const base::EventLoop::Timer farewell = loop_.after(kFarewell, [] {});
  try {
    for (auto& [id, entry] : entries_) {
      if (entry->requested && !entry->stopping) remove_job(*entry);
      entry->stopping = true;
    }
    for (auto& [name, place] : places_) {
      ++deletions_;
      place.own->end([this] { --deletions_; });
    }
    while (deletions_ > 0 && clock_.monotonic_microseconds() < until) loop_.run_once();
  } catch (const Error&) {  // what is left is found by `kubernetes list`
  }
  loop_.cancel(farewell);
}

}  // namespace metaflow::kube
