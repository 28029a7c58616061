#include "compute/batch/batch_backend.h"

#include <algorithm>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "compute/batch/job_request.h"
#include "compute/batch/job_state.h"
#include "compute/package/bootstrap.h"

namespace metaflow::awsbatch {

using compute::AttemptId;
using compute::Verdict;
using net::CallFailure;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kFarewell = 15 * kSecond;  // for terminations, at the end of a run
constexpr std::int64_t kBetweenTries = 10 * kSecond;
constexpr std::size_t kReaders = 8;  // threads that read what attempts have left
constexpr int kMostTries = 3;        // of what goes wrong before a task begins
constexpr std::int64_t kTroubleEvery = 30 * kSecond;
constexpr int kTroubles = 3;                    // in a row: fewer are not worth a word
constexpr std::uint64_t kCloudLog = 1U << 20U;  // bytes that are shown of CloudWatch's log
constexpr const char* kStopped = "Stopped by Metaflow";

}  // namespace

BatchBackend::BatchBackend(base::EventLoop& loop, base::Clock& clock, compute::BackendEvents& events,
                           store::FlowStore& store, compute::LeftoverReader::Open open, net::AwsSession& session,
                           BatchOptions options)
    : loop_(loop),
      clock_(clock),
      events_(events),
      options_(std::move(options)),
      notices_(loop, clock, events),
      leftovers_(loop, std::move(open), kReaders),
      api_(loop, clock, session,
           {.on_retry = [this](const CallFailure& failure, std::int64_t /*pause*/) { on_trouble(failure); }}),
      cloud_logs_(loop, clock, session),
      logs_(loop, leftovers_,
            {.on_output =
                 [this](Id id, store::Stream stream, std::string_view bytes) {
                   if (!over_) events_.on_output(id, stream, bytes);
                 },
             .on_stopped =
                 [this](Id id) {
                   const Entry* entry = find(id);
                   if (entry != nullptr && (entry->ended || entry->forced)) conclude(id);
                 }},
            options_.followed),
      watch_(loop, clock, api_,
             {.on_job = [this](Job&& job) { on_job(std::move(job)); },
              .on_lost = [this](const std::string& job) { on_lost(job); },
              .on_failure = [this](const CallFailure& failure,
                                   const std::vector<std::string>& jobs) { on_poll_failed(failure, jobs); }},
             options_.poll_every),
      submissions_(loop, clock, api_, store, options_.jobs,
                   [this](const Order& order, Placement&& placement) { on_placed(order, std::move(placement)); }) {}

BatchBackend::~BatchBackend() {
  for (auto& [id, entry] : entries_) drop_timer(*entry);
}

BatchBackend::Entry* BatchBackend::find(Id id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

BatchBackend::Entry* BatchBackend::find_job(const std::string& job) {
  const auto found = by_job_.find(job);
  return found == by_job_.end() ? nullptr : find(found->second);
}

store::TaskRef BatchBackend::task_of(const Entry& entry) const {
  return {entry.attempt->step.run, entry.attempt->step.step, entry.attempt->step.task};
}

void BatchBackend::drop_timer(Entry& entry) {
  if (entry.timer) loop_.cancel(*entry.timer);
  entry.timer.reset();
  entry.hopeless = false;
  entry.pausing = false;
}

/// A service that does not answer: once in a while, if it lasts.
void BatchBackend::on_trouble(const CallFailure& failure) {
  const std::int64_t now = clock_.monotonic_microseconds();
  if (over_ || ++troubles_ < kTroubles || (told_at_ > 0 && now - told_at_ < kTroubleEvery)) return;
  told_at_ = now;
  for (const auto& [id, entry] : entries_)
    notices_.tell(id, entry->attempt->step.step, fmt::format("AWS Batch is tried again: {}", failure.advised()));
}

// --- from attempt to job

void BatchBackend::submit(std::span<const compute::Attempt> attempts) {
  for (const compute::Attempt& attempt : attempts) {
    auto entry = std::make_unique<Entry>();
    entry->attempt = std::make_shared<compute::Attempt>(attempt);
    entry->placed = &options_.requests.at(attempt.step.step);
    place(*entry);
    entries_.emplace(attempt.id, std::move(entry));
  }
}

void BatchBackend::place(const Entry& entry) {
  submissions_.add({.attempt = entry.attempt, .placed = entry.placed, .tries = entry.tries});
}

void BatchBackend::on_placed(const Order& order, Placement&& placement) {
  const Id id = order.attempt->id;
  Entry* entry = find(id);
  if (entry == nullptr || entry->tries != order.tries) {
    if (placement.job.empty()) return;
    // Nobody waits for it any more.
    watch_.add(placement.job);
    watch_.terminate(placement.job, kStopped, [] {});
    return;
  }
  if (placement.job.empty()) {
    if (entry->stopping) return conclude(id);
    return fail(id, placement.cause, placement.hopeless);
  }
  entry->job = std::move(placement.job);
  entry->state = {.id = entry->job};
  by_job_[entry->job] = id;
  watch_.add(entry->job);
  if (!over_) events_.on_started(id, fmt::format("job {}", entry->job));
  if (entry->stopping) terminate(*entry);
}

// --- what becomes of the jobs

void BatchBackend::on_poll_failed(const CallFailure& failure, const std::vector<std::string>& jobs) {
  if (failure.transient) return on_trouble(failure);
  for (const std::string& job : jobs) {
    Entry* entry = find_job(job);
    if (entry == nullptr || entry->ended) continue;
    terminate(*entry);
    fail(entry->attempt->id, failure.advised(), true);
  }
}

void BatchBackend::on_lost(const std::string& job) {
  if (Entry* entry = find_job(job)) return on_ended(*entry, ending_of_lost(job));
  watch_.remove(job);
}

void BatchBackend::on_job(Job&& job) {
  troubles_ = 0;
  Entry* entry = find_job(job.id);
  if (entry == nullptr) {
    if (has_ended(job.status)) watch_.remove(job.id);
    return;
  }
  const bool changed = entry->state.status != job.status || entry->state.reason != job.reason;
  entry->state = std::move(job);
  if (!changed) return;
  watch_.quicken();
  if (has_ended(entry->state.status)) return on_ended(*entry, ending_of(entry->state));
  if (entry->state.status == JobStatus::running) return on_running(*entry);
  on_waiting(*entry);
}

void BatchBackend::on_waiting(Entry& entry) {
  if (entry.stopping) return;
  const std::string waiting = waiting_of(entry.state);
  if (waiting.empty()) {
    notices_.clear(entry.attempt->id);
  } else {
    notices_.waits(entry.attempt->id, entry.attempt->step.step, fmt::format("Job is {}", waiting));
  }
  if (!is_hopeless(entry.state)) {
    if (entry.hopeless) drop_timer(entry);
  } else if (!entry.hopeless) {
    drop_timer(entry);
    entry.hopeless = true;
    entry.timer = loop_.after(options_.patience, [this, id = entry.attempt->id] { give_up(id); });
  }
}

/// A job has waited long enough for what does not come by itself.
void BatchBackend::give_up(Id id) {
  Entry* entry = find(id);
  if (entry == nullptr) return;
  entry->timer.reset();
  const std::string cause =
      fmt::format("The job cannot start, and was given up after {}: {}",
                  base::human_seconds(static_cast<double>(options_.patience) * 1e-6), waiting_of(entry->state));
  terminate(*entry);
  fail(id, cause, true);
}

void BatchBackend::on_running(Entry& entry) {
  if (std::exchange(entry.running, true)) return;
  drop_timer(entry);
  notices_.clear(entry.attempt->id);
  if (entry.stopping) return;
  notices_.tell(entry.attempt->id, entry.attempt->step.step, "Job is running.", true);
  if (!over_) logs_.follow(entry.attempt->id, task_of(entry), entry.attempt->step.retry_count);
}

void BatchBackend::on_ended(Entry& entry, compute::Ending ending) {
  notices_.clear(entry.attempt->id);
  drop_timer(entry);
  watch_.remove(entry.job);
  entry.ended = std::move(ending);
  conclude(entry.attempt->id);
}

// --- logs

std::string BatchBackend::log_group(const Entry& entry) const {
  const auto& options = entry.placed->request.log_options;
  const auto found = options.find("awslogs-group");
  return found == options.end() ? kLogGroup : found->second;
}

// --- the end of an attempt

void BatchBackend::conclude(Id id) {
  Entry& entry = *find(id);
  if (entry.reading || !logs_.stop(id)) return;
  if (entry.job.empty() && !entry.ended) return fail(id, "Task was stopped before it began.");
  entry.reading = true;
  leftovers_.read(task_of(entry), entry.attempt->step.retry_count, !over_, [this, id](compute::Leftover&& left) {
    if (Entry* concluded = find(id)) settle(*concluded, std::move(left));
  });
}

void BatchBackend::settle(Entry& entry, compute::Leftover&& left) {
  const Id id = entry.attempt->id;
  const std::optional<std::string> out = std::move(left.out);
  const std::optional<std::string> err = std::move(left.err);
  const bool has_log = left.report.has_value() || out || err;
  const bool was_running = entry.running || entry.state.started > 0;  // it may have been between two looks
  compute::Judgement judgement = compute::judge(entry.ended ? &*entry.ended : nullptr, std::move(left), was_running,
                                                entry.attempt->time_limit > 0);
  if (!entry.stopping && try_again(entry, judgement)) return;
  if (judgement.lost) judgement.verdict.uncounted = options_.uncounted_retries;
  logs_.show(id, out, err);
  if (!has_log && !entry.stopping && !over_ && !entry.state.log_stream.empty())
    return read_cloud_log(id, judgement.verdict);
  finish(id, judgement.verdict);
}

/// Its supervisor did not come to store a log: what the container wrote is elsewhere.
void BatchBackend::read_cloud_log(Id id, const Verdict& verdict) {
  const Entry& entry = *find(id);
  cloud_logs_.read(
      log_group(entry), entry.state.log_stream, kCloudLog,
      [this, id](std::string_view line) {
        if (!over_) events_.on_output(id, store::Stream::err, fmt::format("{}\n", line));
      },
      [this, id, verdict](LogApi::End&& end) {
        const Entry* read = find(id);
        if (read == nullptr) return;
        if (end.failure)
          notices_.tell(id, read->attempt->step.step,
                        fmt::format("What the container wrote is not known: {}", end.failure->advised()));
        finish(id, verdict);
      });
}

/// What went wrong before the task began does not count as an attempt of it.
bool BatchBackend::try_again(Entry& entry, const compute::Judgement& judgement) {
  const Verdict& verdict = judgement.verdict;
  const bool unwanted = entry.state.terminated || entry.state.cancelled;  // by somebody: `batch kill`
  if (judgement.began || unwanted || over_) return false;
  const int status = entry.ended ? entry.ended->exit_code : -1;
  const bool unfit = verdict.hopeless && status != compute::kPackageMissing && status != compute::kStoreFailed;
  if (unfit || ++entry.tries >= kMostTries) return false;
  notices_.tell(entry.attempt->id, entry.attempt->step.step,
                fmt::format("{} The task had not begun; it is submitted again.", verdict.cause));
  if (status == compute::kPackageMissing) submissions_.renew_link();
  by_job_.erase(entry.job);
  logs_.forget(entry.attempt->id);
  Entry fresh;
  fresh.attempt = std::move(entry.attempt);
  fresh.placed = entry.placed;
  fresh.tries = entry.tries;
  entry = std::move(fresh);
  entry.pausing = true;
  entry.timer = loop_.after(kBetweenTries, [this, id = entry.attempt->id] {
    Entry* waiting = find(id);
    if (waiting == nullptr) return;
    waiting->timer.reset();
    waiting->pausing = false;
    place(*waiting);
  });
  return true;
}

void BatchBackend::finish(Id id, const Verdict& verdict) {
  const auto node = entries_.extract(id);
  Entry& entry = *node.mapped();
  drop_timer(entry);
  logs_.forget(id);
  notices_.clear(id);
  by_job_.erase(entry.job);
  if (!over_) events_.on_finished(id, verdict);
}

void BatchBackend::fail(Id id, const std::string& cause, bool hopeless) {
  Verdict verdict;
  verdict.cause = cause;
  verdict.hopeless = hopeless;
  finish(id, verdict);
}

// --- stopping

void BatchBackend::terminate(Entry& entry) {
  if (entry.job.empty() || entry.ended || std::exchange(entry.terminating, true)) return;
  watch_.terminate(entry.job, kStopped, [this, id = entry.attempt->id] {
    Entry* terminated = find(id);
    if (terminated == nullptr || !terminated->stopping) return;
    terminated->terminated = true;
    if (terminated->forced) return conclude(id);
    watch_.quicken();
  });
}

void BatchBackend::stop(std::span<const AttemptId> attempts, compute::Stop how) {
  for (const Id id : attempts) {
    Entry* entry = find(id);
    if (entry == nullptr) continue;
    entry->stopping = true;
    if (how == compute::Stop::force) entry->forced = true;
    const bool no_job = entry->pausing || submissions_.withdraw(id);
    if (no_job || (entry->terminated && entry->forced)) {
      drop_timer(*entry);
      loop_.after(0, [this, id] {
        if (find(id) != nullptr) conclude(id);
      });
      continue;
    }
    logs_.stop(id);
    terminate(*entry);
  }
}

void BatchBackend::end() {
  over_ = true;
  const std::int64_t until = clock_.monotonic_microseconds() + kFarewell;
  // A timer, since a quiet loop would wait for ever.
  const base::EventLoop::Timer farewell = loop_.after(kFarewell, [] {});
  try {
    for (auto& [id, entry] : entries_) {
      entry->stopping = true;
      submissions_.withdraw(id);
      terminate(*entry);
    }
    while (!(watch_.is_idle() && submissions_.is_idle()) && clock_.monotonic_microseconds() < until) loop_.run_once();
  } catch (const Error&) {  // what is left is found by `batch list`
  }
  loop_.cancel(farewell);
}

}  // namespace metaflow::awsbatch
