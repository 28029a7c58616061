#include "compute/remote/remote_attempts.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "compute/package/bootstrap.h"
#include "compute/remote/judge.h"
#include "compute/remote/store_log.h"

namespace metaflow::compute {

using store::Stream;

namespace {

store::TaskRef task_of(const Attempt& attempt) { return {attempt.step.run, attempt.step.step, attempt.step.task}; }

}  // namespace

RemoteAttempts::RemoteAttempts(base::EventLoop& loop, base::Clock& clock, BackendEvents& events,
                               ResultReader::Open open, RemoteOptions options, const MakeJobs& make_jobs)
    : loop_(loop),
      clock_(clock),
      events_(events),
      options_(std::move(options)),
      timers_(loop),
      notices_(loop, clock, events),
      results_(loop, std::move(open), options_.readers),
      jobs_(make_jobs(*this)) {}

RemoteAttempts::~RemoteAttempts() {
  entries_.clear();  // their logs use the platform
}

RemoteAttempts::Entry* RemoteAttempts::find(AttemptId id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

void RemoteAttempts::set_timer(Entry& entry, TimerFor purpose, std::int64_t microseconds,
                               void (RemoteAttempts::*what)(AttemptId)) {
  drop_timer(entry);
  entry.timer_for = purpose;
  entry.timer = timers_.after(microseconds, [this, what, id = entry.id()] {
    Entry* due = find(id);
    if (due == nullptr) return;
    due->timer.reset();
    (this->*what)(id);
  });
}

void RemoteAttempts::drop_timer(Entry& entry) {
  if (entry.timer) timers_.cancel(*entry.timer);
  entry.timer.reset();
}

/// Called from the loop, if the attempt still exists then.
void RemoteAttempts::soon(AttemptId id, void (RemoteAttempts::*what)(AttemptId)) {
  timers_.after(0, [this, id, what] {
    if (find(id) != nullptr) (this->*what)(id);
  });
}

// --- from attempt to job

void RemoteAttempts::submit(const Attempt& attempt) {
  auto shared = std::make_shared<const Attempt>(attempt);
  entries_.emplace(attempt.id, Entry{.attempt = shared});
  jobs_->submit({.attempt = std::move(shared)});
}

void RemoteAttempts::on_job(AttemptId attempt, const std::string& name) {
  Entry* entry = find(attempt);
  if (entry == nullptr || !entry->job.name.empty()) return;
  entry->job.name = name;
  if (!over_) events_.on_started(attempt, fmt::format("job {}", name));
}

void RemoteAttempts::on_no_job(AttemptId attempt, const std::string& cause, bool hopeless) {
  Entry* entry = find(attempt);
  if (entry == nullptr) return;
  if (entry->stopping && entry->job.name.empty()) return conclude(attempt);
  fail(attempt, cause, hopeless);
}

// --- states of the job

void RemoteAttempts::on_state(AttemptId attempt, JobState&& state) {
  Entry* entry = find(attempt);
  if (entry == nullptr || entry->job.end) return;
  entry->job.state = std::move(state);
  switch (entry->job.state.phase) {
    case JobState::Phase::waiting: return on_waiting(*entry);
    case JobState::Phase::running: return on_running(*entry, !std::exchange(entry->job.running, true));
    case JobState::Phase::ended: return on_ended(*entry);
  }
}

void RemoteAttempts::on_waiting(Entry& entry) {
  if (entry.stopping) return;
  const JobState& state = entry.job.state;
  if (state.trouble.empty()) {
    notices_.clear(entry.id());
  } else {
    notices_.set_waiting(entry.id(), entry.step(), state.notice);
  }
  if (!state.hopeless) {
    if (entry.waits_for(TimerFor::patience)) drop_timer(entry);
  } else if (!entry.timer) {
    set_timer(entry, TimerFor::patience, options_.patience, &RemoteAttempts::give_up);
  }
}

/// Called when a job has waited long enough for what does not resolve itself. The platform's present reason is the
/// cause.
void RemoteAttempts::give_up(AttemptId id) {
  jobs_->observe(id, [this, id](const JobState& state) {
    const Entry* entry = find(id);
    if (entry == nullptr || entry->job.end || entry->job.running || entry->stopping || !state.hopeless) return;
    jobs_->remove(std::span(&id, 1));
    fail(id,
         fmt::format("The {} could not start within {}: {}", options_.unit,
                     base::human_seconds(static_cast<double>(options_.patience) * 1e-6), state.trouble),
         true);
  });
}

void RemoteAttempts::on_running(Entry& entry, bool is_new) {
  const JobState& state = entry.job.state;
  if (is_new) {
    drop_timer(entry);
    notices_.clear(entry.id());
    if (entry.stopping) return;
    notices_.report(entry.id(), entry.step(), state.where, true);
    return follow(entry);
  }
  entry.job.silent = !state.trouble.empty() && !entry.stopping;
  if (!entry.job.silent) return notices_.clear(entry.id());
  notices_.set_waiting(entry.id(), entry.step(), state.notice);
  look_into_store(entry.id());
}

/// Called while the node of a job does not answer: the task may succeed nevertheless.
void RemoteAttempts::look_into_store(AttemptId id) {
  Entry& entry = *find(id);
  if (entry.reading || !entry.job.silent) return;
  entry.reading = true;
  const bool with_log = !over_ && (entry.job.log == nullptr || entry.job.log->needs_stored_log());
  results_.read(task_of(*entry.attempt), entry.attempt->step.retry_count, with_log, [this, id](AttemptResult&& left) {
    Entry* looked = find(id);
    if (looked == nullptr) return;
    looked->reading = false;
    if (left.done) {
      jobs_->remove(std::span(&id, 1));
      settle(*looked, std::move(left));
    } else if (looked->job.end || looked->stopping) {
      conclude(id);
    } else if (looked->job.silent) {
      set_timer(*looked, TimerFor::look, kLookEvery, &RemoteAttempts::look_into_store);
    }
  });
}

// --- logs

void RemoteAttempts::follow(Entry& entry) {
  if (over_ || followed_ >= options_.followed) return;
  ++followed_;
  entry.job.log_is_open = true;
  entry.job.log = jobs_->follow(entry.id());
  if (entry.job.log == nullptr)
    entry.job.log = std::make_unique<StoreLog>(loop_, results_, static_cast<JobEvents&>(*this), *entry.attempt);
}

void RemoteAttempts::on_log(AttemptId attempt, Stream stream, std::string_view bytes) {
  if (!over_ && find(attempt) != nullptr) events_.on_output(attempt, stream, bytes);
}

void RemoteAttempts::on_log_end(AttemptId attempt, bool whole) {
  Entry* entry = find(attempt);
  if (entry == nullptr || !entry->job.log_is_open) return;
  close_log(*entry);
  if (!whole && !over_ && !entry->stopping)
    notices_.report(attempt, entry->step(),
                    "The live log broke off. `logs` shows the whole log when the task has ended.");
  if (entry->job.end) close(attempt);
}

/// Keeps what was reported of the log.
void RemoteAttempts::close_log(Entry& entry) {
  if (!std::exchange(entry.job.log_is_open, false)) return;
  --followed_;
  entry.job.log->stop();
}

void RemoteAttempts::on_trouble(std::span<const AttemptId> attempts, const std::string& words) {
  if (over_) return;
  for (const AttemptId attempt : attempts) {
    if (const Entry* entry = find(attempt)) notices_.report(attempt, entry->step(), words);
  }
}

// --- the end of an attempt

void RemoteAttempts::on_ended(Entry& entry) {
  notices_.clear(entry.id());
  drop_timer(entry);
  entry.job.end = entry.job.state.end;
  if (entry.job.log_is_open && !entry.stopping && !entry.job.log->finish()) {
    set_timer(entry, TimerFor::log, kLogEnd, &RemoteAttempts::close);
  } else {
    close(entry.id());
  }
}

/// Called when the job has ended, and its log was read or abandoned.
void RemoteAttempts::close(AttemptId id) {
  Entry& entry = *find(id);
  drop_timer(entry);
  close_log(entry);
  conclude(id);
}

void RemoteAttempts::conclude(AttemptId id) {
  Entry& entry = *find(id);
  if (entry.reading) return;
  if (entry.job.name.empty() && !entry.job.end) return fail(id, "Task was stopped before it began.", false);
  entry.reading = true;
  auto done = [this, id](AttemptResult&& left) {
    if (Entry* concluded = find(id)) settle(*concluded, std::move(left));
  };
  const store::TaskRef task = task_of(*entry.attempt);
  const int attempt = entry.attempt->step.retry_count;
  const bool with_log = !over_ && (entry.job.log == nullptr || entry.job.log->needs_stored_log());
  if (entry.stopping) {
    results_.read_killed(task, attempt, with_log, done);
  } else {
    results_.read(task, attempt, with_log, done);
  }
}

void RemoteAttempts::settle(Entry& entry, AttemptResult&& left) {
  const AttemptId id = entry.id();
  entry.reading = false;
  const std::optional<std::string> out = std::move(left.out);
  const std::optional<std::string> err = std::move(left.err);
  const bool has_log = left.report.has_value() || out || err;
  const Verdict verdict = judge({.end = entry.job.end ? &*entry.job.end : nullptr,
                                 .was_running = entry.job.running,
                                 .has_limit = entry.attempt->time_limit > 0,
                                 .uncounted_retries = options_.uncounted_retries},
                                std::move(left));
  if (try_again(entry, verdict)) return;
  const auto show = [&](Stream stream, const std::optional<std::string>& text) {
    if (!text || over_) return;
    const std::string_view rest = entry.job.log ? entry.job.log->rest(stream, *text) : std::string_view(*text);
    if (!rest.empty()) events_.on_output(id, stream, rest);
  };
  show(Stream::out, out);
  show(Stream::err, err);
  const bool was_shown = entry.job.log != nullptr && !entry.job.log->needs_stored_log();
  if (has_log || was_shown || entry.stopping || over_) return finish(id, verdict);
  read_kept_log(entry, verdict);
}

/// The timer ends the attempt soon, whatever the server does.
void RemoteAttempts::read_kept_log(Entry& entry, const Verdict& verdict) {
  const AttemptId id = entry.id();
  entry.verdict = verdict;
  set_timer(entry, TimerFor::log, kKeptLog, &RemoteAttempts::give_up_log);
  jobs_->read_kept_log(id, [this, id](const std::string& failure) {
    const Entry* read = find(id);
    if (read == nullptr) return;
    if (!failure.empty())
      notices_.report(id, read->step(), fmt::format("Cannot read the output of the container: {}", failure));
    finish(id, *read->verdict);
  });
}

void RemoteAttempts::give_up_log(AttemptId id) {
  const Entry& entry = *find(id);
  notices_.report(
      id, entry.step(),
      fmt::format("Cannot read the output of the container: timed out after {} seconds", kKeptLog / 1'000'000));
  finish(id, *entry.verdict);
}

/// A failure before the task began is not counted as an attempt.
bool RemoteAttempts::try_again(Entry& entry, const Verdict& verdict) {
  const bool is_deliberate = entry.job.end && entry.job.end->deliberate;
  if (verdict.began || entry.stopping || is_deliberate || over_) return false;
  const int status = entry.job.end ? entry.job.end->exit_code : -1;
  const bool unfit = verdict.hopeless && status != kPackageMissing && status != kStoreFailed;
  if (unfit || ++entry.tries >= kMaxTries) return false;
  notices_.report(entry.id(), entry.step(),
                  fmt::format("{} The task had not begun. Resubmitting (not counted as a retry).", verdict.cause));
  close_log(entry);
  jobs_->forget(entry.id());
  entry.job = {};
  entry.new_link = status == kPackageMissing;
  set_timer(entry, TimerFor::pause, kResubmitDelay, &RemoteAttempts::resubmit);
  return true;
}

void RemoteAttempts::resubmit(AttemptId id) {
  const Entry& entry = *find(id);
  jobs_->submit({.attempt = entry.attempt, .tries = entry.tries, .new_link = entry.new_link});
}

void RemoteAttempts::finish(AttemptId id, const Verdict& verdict) {
  const auto node = entries_.extract(id);
  Entry& entry = node.mapped();
  drop_timer(entry);
  notices_.clear(id);
  close_log(entry);
  jobs_->forget(id);
  if (!over_) events_.on_finished(id, verdict);
}

void RemoteAttempts::fail(AttemptId id, const std::string& cause, bool hopeless) {
  Verdict verdict;
  verdict.cause = cause;
  verdict.hopeless = hopeless;
  finish(id, verdict);
}

// --- stopping

void RemoteAttempts::stop(std::span<const AttemptId> attempts, Stop how) {
  if (left_) return;
  if (over_ && how == Stop::force) return shorten_end();
  std::vector<AttemptId> due;
  for (const AttemptId id : attempts) {
    Entry* entry = find(id);
    if (entry == nullptr) continue;
    const bool is_first = !std::exchange(entry->stopping, true);
    entry->forced = entry->forced || how == Stop::force;
    if (entry->waits_for(TimerFor::pause)) {  // there is no job
      drop_timer(*entry);
      soon(id, &RemoteAttempts::conclude);
    } else if (entry->job.end) {
      soon(id, &RemoteAttempts::close);
    } else if (is_first) {
      due.push_back(id);
    } else if (entry->forced && entry->job.removed) {
      soon(id, &RemoteAttempts::conclude);
    }
  }
  if (!due.empty()) jobs_->remove(due);
}

void RemoteAttempts::on_removed(AttemptId attempt, bool is_gone) {
  Entry* entry = find(attempt);
  if (entry == nullptr || !entry->stopping || entry->job.end) return;
  entry->job.removed = true;
  if (entry->forced || is_gone) conclude(attempt);
}

void RemoteAttempts::leave() {
  left_ = true;
  for (const auto& [id, entry] : entries_) soon(id, &RemoteAttempts::leave_to_other);
}

void RemoteAttempts::leave_to_other(AttemptId id) {
  fail(id, "The task was left to the scheduler that took over the run.", false);
}

void RemoteAttempts::end(Stop how) {
  over_ = true;
  if (left_) return;
  until_ = clock_.monotonic_microseconds() + (how == Stop::force ? kForcedEndTimeout : kEndTimeout);
  // A timer, since an idle loop would wait for ever.
  const base::EventLoop::Timer timer = loop_.after(how == Stop::force ? kForcedEndTimeout : kEndTimeout, [] {});
  try {
    std::vector<AttemptId> all;
    for (const auto& [id, entry] : entries_) all.push_back(id);
    stop(all, Stop::ask);
    jobs_->end([this] { jobs_ended_ = true; });
    while (!jobs_ended_ && clock_.monotonic_microseconds() < until_) loop_.run_once();
  } catch (const Error&) {  // the platform's `list` shows remaining jobs
  }
  loop_.cancel(timer);
}

/// The user does not want to wait for the platform any longer.
void RemoteAttempts::shorten_end() {
  until_ = std::min(until_, clock_.monotonic_microseconds() + kForcedEndTimeout);
  timers_.after(kForcedEndTimeout, [] {});
}

}  // namespace metaflow::compute
