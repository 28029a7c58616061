#include "compute/batch/batch_backend.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <metaflow/error.h>

#include "base/json.h"
#include "base/text.h"
#include "compute/batch/job_request.h"
#include "compute/batch/job_state.h"
#include "compute/package/bootstrap.h"

namespace metaflow::awsbatch {

using compute::AttemptId;
using compute::Verdict;
using net::AwsFailure;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kSlowestPoll = 15 * kSecond;
constexpr std::int64_t kPollShare = 20;            // of the time since something changed
constexpr std::int64_t kPerHundredJobs = 200'000;  // microseconds: at most five DescribeJobs in a second
constexpr std::int64_t kFirstLook = 1 * kSecond;   // at a log
constexpr std::int64_t kSlowestLook = 30 * kSecond;
constexpr std::int64_t kFarewell = 15 * kSecond;  // for terminations, at the end of a run
constexpr std::int64_t kBetweenTries = 10 * kSecond;
constexpr std::size_t kReaders = 8;  // threads that read what attempts have left
constexpr int kMostUnknown = 5;      // times that Batch may say nothing of a job
constexpr int kMostTries = 3;        // of what goes wrong before a task begins
constexpr std::int64_t kTroubleEvery = 30 * kSecond;
constexpr int kTroubles = 3;                    // in a row: fewer are not worth a word
constexpr std::uint64_t kCloudLog = 1U << 20U;  // bytes that are shown of CloudWatch's log
constexpr const char* kStopped = "Stopped by Metaflow";

std::string advised(const AwsFailure& failure) {
  if (failure.hint.empty()) return failure.text;
  return fmt::format("{}{} {}", failure.text, failure.text.ends_with('.') ? "" : ".", failure.hint);
}

}  // namespace

BatchBackend::BatchBackend(base::EventLoop& loop, base::Clock& clock, compute::BackendEvents& events,
                           store::FlowStore& store, compute::LeftoverReader::Open open, net::AwsSession& session,
                           BatchOptions options)
    : loop_(loop),
      clock_(clock),
      events_(events),
      store_(store),
      options_(std::move(options)),
      notices_(loop, clock, events),
      leftovers_(loop, std::move(open), kReaders),
      api_(loop, clock, session,
           {.on_retry = [this](const AwsFailure& failure, std::int64_t /*pause*/) { on_trouble(failure); }}),
      logs_(loop, clock, session) {}

BatchBackend::~BatchBackend() {
  for (auto& [id, entry] : entries_) {
    drop_timer(*entry);
    if (entry->look) loop_.cancel(*entry->look);
  }
  if (poll_timer_) loop_.cancel(*poll_timer_);
}

BatchBackend::Entry* BatchBackend::find(Id id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

store::TaskRef BatchBackend::task_of(const Entry& entry) const {
  return {entry.attempt.step.run, entry.attempt.step.step, entry.attempt.step.task};
}

void BatchBackend::drop_timer(Entry& entry) {
  if (entry.timer) loop_.cancel(*entry.timer);
  entry.timer.reset();
  entry.hopeless = false;
}

/// A service that does not answer: once in a while, if it lasts.
void BatchBackend::on_trouble(const AwsFailure& failure) {
  const std::int64_t now = clock_.monotonic_microseconds();
  if (over_ || ++troubles_ < kTroubles || (told_at_ > 0 && now - told_at_ < kTroubleEvery)) return;
  told_at_ = now;
  for (const auto& [id, entry] : entries_)
    notices_.tell(id, entry->attempt.step.step, fmt::format("AWS Batch is tried again: {}", advised(failure)));
}

// --- from attempt to job

void BatchBackend::submit(std::span<const compute::Attempt> attempts) {
  for (const compute::Attempt& attempt : attempts) {
    auto entry = std::make_unique<Entry>();
    entry->attempt = attempt;
    entry->placed = &options_.requests.at(attempt.step.step);
    entries_.emplace(attempt.id, std::move(entry));
    define(attempt.id);
  }
}

void BatchBackend::define(Id id) {
  Entry& entry = *find(id);
  const Json wanted = job_definition(entry.placed->request, entry.placed->queue.machines, options_.machine);
  const std::string name = base::text_at(wanted, {"jobDefinitionName"});
  Definition& definition = definitions_[name];
  if (!definition.arn.empty()) return submit_job(id);
  definition.waiting.push_back(id);
  if (definition.waiting.size() > 1) return;
  api_.find_definition(name, [this, name, wanted](const BatchApi::Failure& failure, const std::string& arn) {
    if (failure || !arn.empty()) return defined(name, failure, arn);
    api_.register_definition(wanted, [this, name](const BatchApi::Failure& refused, const std::string& made) {
      defined(name, refused, made);
    });
  });
}

void BatchBackend::defined(const std::string& name, const BatchApi::Failure& failure, const std::string& arn) {
  Definition& definition = definitions_[name];
  definition.arn = failure ? "" : arn;
  for (const Id id : std::exchange(definition.waiting, {})) {
    if (find(id) == nullptr) continue;
    if (failure) {
      fail(id, fmt::format("Unable to launch AWS Batch job. {}", advised(*failure)), !failure->transient);
    } else {
      submit_job(id);
    }
  }
}

/// A link that fetches the package for a while yet.
const std::string& BatchBackend::link() {
  const std::int64_t now = clock_.wall_microseconds() / kSecond;
  // A job that starts after the link's end fails before its task begins, and is submitted again.
  if (!link_ || link_->expires - now < 3600) link_ = compute::link_to(store_, options_.package);
  return link_->url;
}

Json BatchBackend::submission_of(const Entry& entry, const std::string& name, const std::string& arn) {
  const compute::Attempt& attempt = entry.attempt;
  std::vector<std::string> arguments{"supervise", "--max-log-size", std::to_string(options_.max_log_size), "--"};
  for (std::string& word : compute::to_command_line(attempt.step)) arguments.push_back(std::move(word));
  compute::Variables environment = options_.environment;
  if (options_.flow_in_image.empty()) {
    for (auto& variable : compute::bootstrap_variables(options_.package)) environment.push_back(std::move(variable));
    environment.emplace_back("MF_URL", link());
  }
  for (const std::string& variable : attempt.environment) {
    const std::size_t equals = variable.find('=');
    environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  const compute::JobIdentity identity{
      store_.flow(), options_.run, attempt.step.step, attempt.step.task, attempt.step.retry_count, options_.user};
  return job_submission(identity, name, entry.placed->request, entry.placed->queue.arn, arn,
                        job_command(options_.flow_in_image, arguments), std::move(environment));
}

void BatchBackend::submit_job(Id id) {
  Entry& entry = *find(id);
  if (entry.stopping) return conclude(id);
  const compute::StepArguments& step = entry.attempt.step;
  const Json wanted = job_definition(entry.placed->request, entry.placed->queue.machines, options_.machine);
  const std::string& arn = definitions_.at(base::text_at(wanted, {"jobDefinitionName"})).arn;
  const std::string name =
      job_name({store_.flow(), options_.run, step.step, step.task, step.retry_count, options_.user},
               store_.storage().root(), entry.tries);
  entry.requested = true;
  try {
    ++submissions_;
    api_.submit(submission_of(entry, name, arn), [this, id, tries = entry.tries](Submitted&& submitted) {
      on_submitted(id, tries, std::move(submitted));
    });
  } catch (const Error& error) {  // there is no link
    --submissions_;
    loop_.after(0, [this, id, cause = std::string(error.what())] {
      if (find(id) != nullptr) fail(id, cause, true);
    });
  }
}

void BatchBackend::on_submitted(Id id, int tries, Submitted&& submitted) {
  --submissions_;
  Entry* entry = find(id);
  if (entry == nullptr || entry->tries != tries) {
    if (submitted.id.empty()) return;
    // Nobody waits for it any more.
    ++terminations_;
    api_.terminate(submitted.id, kStopped, [this](const BatchApi::Failure&) { --terminations_; });
    return;
  }
  if (submitted.failure) {
    if (entry->stopping) return conclude(id);
    return fail(id, fmt::format("Unable to launch AWS Batch job. {}", advised(*submitted.failure)),
                !submitted.failure->transient);
  }
  entry->job = submitted.id;
  entry->state = {.id = submitted.id};
  by_job_[entry->job] = id;
  if (!over_) events_.on_started(id, fmt::format("job {}", entry->job));
  if (entry->stopping) terminate(*entry);
  changed_at_ = clock_.monotonic_microseconds();
  schedule_poll(false);
}

// --- what becomes of the jobs

void BatchBackend::schedule_poll(bool soon) {
  if (polling_ || by_job_.empty()) return;
  if (poll_timer_) {
    if (!soon) return;
    loop_.cancel(*poll_timer_);
  }
  const std::int64_t quiet = clock_.monotonic_microseconds() - changed_at_;
  const auto calls = static_cast<std::int64_t>((by_job_.size() + 99) / 100);
  const std::int64_t wait =
      std::max(std::clamp(quiet / kPollShare, options_.poll_every, kSlowestPoll), calls * kPerHundredJobs);
  poll_timer_ = loop_.after(soon ? options_.poll_every : wait, [this] {
    poll_timer_.reset();
    poll();
  });
}

void BatchBackend::poll() {
  std::vector<std::string> ids;
  for (const auto& [job, id] : by_job_) {
    if (!find(id)->ended) ids.push_back(job);
  }
  if (ids.empty()) return schedule_poll(false);
  polling_ = true;
  for (const std::string& job : ids) ++find(by_job_.at(job))->unknown;
  api_.describe_jobs(
      ids, [this](Job&& job) { on_job(std::move(job)); },
      [this, ids](const BatchApi::Failure& failure) { on_polled(ids, failure); });
}

void BatchBackend::on_polled(const std::vector<std::string>& asked, const BatchApi::Failure& failure) {
  polling_ = false;
  for (const std::string& job : asked) {
    const auto found = by_job_.find(job);
    Entry* entry = found == by_job_.end() ? nullptr : find(found->second);
    if (entry == nullptr || entry->ended) continue;
    if (failure) {
      entry->unknown = 0;
      if (!failure->transient) {
        terminate(*entry);
        fail(entry->attempt.id, advised(*failure), true);
      }
    } else if (entry->unknown >= kMostUnknown) {
      on_ended(*entry, ending_of_lost(job));
    }
  }
  if (failure && failure->transient) on_trouble(*failure);
  schedule_poll(false);
}

void BatchBackend::on_job(Job&& job) {
  troubles_ = 0;
  const auto found = by_job_.find(job.id);
  Entry* entry = found == by_job_.end() ? nullptr : find(found->second);
  if (entry == nullptr || entry->ended) return;
  entry->unknown = 0;
  const bool changed = entry->state.status != job.status || entry->state.reason != job.reason;
  entry->state = std::move(job);
  if (!changed) return;
  changed_at_ = clock_.monotonic_microseconds();
  if (has_ended(entry->state.status)) return on_ended(*entry, ending_of(entry->state));
  if (entry->state.status == JobStatus::running) return on_running(*entry);
  on_waiting(*entry);
}

void BatchBackend::on_waiting(Entry& entry) {
  if (entry.stopping) return;
  const std::string waiting = waiting_of(entry.state);
  if (waiting.empty()) {
    notices_.clear(entry.attempt.id);
  } else {
    notices_.waits(entry.attempt.id, entry.attempt.step.step, fmt::format("Job is {}", waiting));
  }
  if (!is_hopeless(entry.state)) {
    if (entry.hopeless) drop_timer(entry);
  } else if (!entry.hopeless) {
    drop_timer(entry);
    entry.hopeless = true;
    entry.timer = loop_.after(options_.patience, [this, id = entry.attempt.id] { give_up(id); });
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
  notices_.clear(entry.attempt.id);
  if (entry.stopping) return;
  notices_.tell(entry.attempt.id, entry.attempt.step.step, "Job is running.", true);
  follow(entry);
}

void BatchBackend::on_ended(Entry& entry, compute::Ending ending) {
  notices_.clear(entry.attempt.id);
  drop_timer(entry);
  entry.ended = std::move(ending);
  conclude(entry.attempt.id);
}

// --- logs

/// Its supervisor stores the log while it is written.
void BatchBackend::follow(Entry& entry) {
  if (followed_ >= options_.followed || over_) return;
  ++followed_;
  entry.followed = true;
  entry.look_every = kFirstLook;
  entry.look = loop_.after(kFirstLook, [this, id = entry.attempt.id] { look_at_log(id); });
}

void BatchBackend::look_at_log(Id id) {
  Entry& entry = *find(id);
  entry.look.reset();
  if (entry.ended || entry.stopping || over_) return;
  entry.looking = true;
  leftovers_.read_log(task_of(entry), entry.attempt.step.retry_count, [this, id](compute::Leftover&& left) {
    Entry* looked = find(id);
    if (looked == nullptr) return;
    looked->looking = false;
    const std::size_t before = looked->shown_out + looked->shown_err;
    show(*looked, left.out, left.err);
    if (looked->ended || looked->forced) return conclude(id);
    const bool grew = looked->shown_out + looked->shown_err > before;
    looked->look_every = grew ? kFirstLook : std::min(looked->look_every * 3 / 2, kSlowestLook);
    looked->look = loop_.after(looked->look_every, [this, id] { look_at_log(id); });
  });
}

/// What was not told yet.
void BatchBackend::show(Entry& entry, const std::optional<std::string>& out, const std::optional<std::string>& err) {
  const auto rest = [&](const std::optional<std::string>& text, std::size_t& shown, store::Stream stream) {
    if (over_ || !text || text->size() <= shown) return;
    events_.on_output(entry.attempt.id, stream, std::string_view(*text).substr(shown));
    shown = text->size();
  };
  rest(out, entry.shown_out, store::Stream::out);
  rest(err, entry.shown_err, store::Stream::err);
}

std::string BatchBackend::log_group(const Entry& entry) const {
  const auto& options = entry.placed->request.log_options;
  const auto found = options.find("awslogs-group");
  return found == options.end() ? kLogGroup : found->second;
}

// --- the end of an attempt

void BatchBackend::conclude(Id id) {
  Entry& entry = *find(id);
  if (entry.reading || entry.looking) return;
  if (entry.job.empty() && !entry.ended) return fail(id, "Task was stopped before it began.");
  entry.reading = true;
  leftovers_.read(task_of(entry), entry.attempt.step.retry_count, !over_, [this, id](compute::Leftover&& left) {
    if (Entry* concluded = find(id)) settle(*concluded, std::move(left));
  });
}

void BatchBackend::settle(Entry& entry, compute::Leftover&& left) {
  const Id id = entry.attempt.id;
  const std::optional<std::string> out = std::move(left.out);
  const std::optional<std::string> err = std::move(left.err);
  const bool has_log = left.report.has_value() || out || err;
  const bool was_running = entry.running || entry.state.started > 0;  // it may have been between two looks
  const compute::Judgement judgement =
      compute::judge(entry.ended ? &*entry.ended : nullptr, std::move(left), was_running, entry.attempt.time_limit > 0);
  if (!entry.stopping && try_again(entry, judgement)) return;
  show(entry, out, err);
  if (!has_log && !entry.stopping && !over_ && !entry.state.log_stream.empty())
    return read_cloud_log(id, judgement.verdict);
  finish(id, judgement.verdict);
}

/// Its supervisor did not come to store a log: what the container wrote is elsewhere.
void BatchBackend::read_cloud_log(Id id, const Verdict& verdict) {
  const Entry& entry = *find(id);
  logs_.read(
      log_group(entry), entry.state.log_stream, kCloudLog,
      [this, id](std::string_view line) {
        if (!over_) events_.on_output(id, store::Stream::err, fmt::format("{}\n", line));
      },
      [this, id, verdict](LogApi::End&& end) {
        const Entry* read = find(id);
        if (read == nullptr) return;
        if (end.failure)
          notices_.tell(id, read->attempt.step.step,
                        fmt::format("What the container wrote is not known: {}", advised(*end.failure)));
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
  notices_.tell(entry.attempt.id, entry.attempt.step.step,
                fmt::format("{} The task had not begun; it is submitted again.", verdict.cause));
  if (status == compute::kPackageMissing) link_.reset();  // it may have expired
  by_job_.erase(entry.job);
  if (std::exchange(entry.followed, false)) --followed_;
  if (entry.look) loop_.cancel(*entry.look);
  Entry fresh;
  fresh.attempt = std::move(entry.attempt);
  fresh.placed = entry.placed;
  fresh.tries = entry.tries;
  entry = std::move(fresh);
  entry.timer = loop_.after(kBetweenTries, [this, id = entry.attempt.id] {
    Entry* waiting = find(id);
    if (waiting == nullptr) return;
    waiting->timer.reset();
    submit_job(id);
  });
  return true;
}

void BatchBackend::finish(Id id, const Verdict& verdict) {
  const auto node = entries_.extract(id);
  Entry& entry = *node.mapped();
  drop_timer(entry);
  if (entry.look) loop_.cancel(*entry.look);
  if (entry.followed) --followed_;
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
  if (entry.job.empty() || std::exchange(entry.terminating, true)) return;
  ++terminations_;
  api_.terminate(entry.job, kStopped, [this, id = entry.attempt.id](const BatchApi::Failure&) {
    --terminations_;
    Entry* terminated = find(id);
    if (terminated == nullptr || !terminated->stopping) return;
    terminated->terminated = true;
    if (terminated->forced) return conclude(id);
    changed_at_ = clock_.monotonic_microseconds();
    schedule_poll(true);
  });
}

void BatchBackend::stop(std::span<const AttemptId> attempts, compute::Stop how) {
  for (const Id id : attempts) {
    Entry* entry = find(id);
    if (entry == nullptr) continue;
    entry->stopping = true;
    if (how == compute::Stop::force) entry->forced = true;
    if (!entry->requested || (entry->terminated && entry->forced)) {
      drop_timer(*entry);
      loop_.after(0, [this, id] {
        if (find(id) != nullptr) conclude(id);
      });
      continue;
    }
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
      terminate(*entry);
    }
    while ((terminations_ > 0 || submissions_ > 0) && clock_.monotonic_microseconds() < until) loop_.run_once();
  } catch (const Error&) {  // what is left is found by `batch list`
  }
  loop_.cancel(farewell);
}

}  // namespace metaflow::awsbatch
