#include "compute/batch/batch_jobs.h"

#include <utility>

#include "base/format.h"
#include "compute/batch/job_request.h"
#include "compute/batch/job_state.h"

namespace metaflow::awsbatch {

using compute::AttemptId;
using compute::JobState;
using net::CallFailure;

namespace {

constexpr std::uint64_t kKeptLog = 1U << 20U;  // bytes of CloudWatch's log that are shown
constexpr AttemptId kNoAttempt = 0;
constexpr const char* kNoInstance =
    "no instance is available yet (no reason given; check the console of AWS Batch: the vCPU quota, the compute "
    "environment and its subnets)";
constexpr const char* kStopped = "Stopped by Metaflow";

/// Whether the job waits for an instance, and AWS Batch gives no reason.
bool awaits_instance(const Job& job) { return job.status == JobStatus::runnable && job.reason.empty(); }

JobState waiting_state(const Job& job) {
  const std::string waiting = waiting_of(job);
  return {.trouble = waiting, .notice = fmt::format("Job is {}", waiting), .hopeless = is_hopeless(job)};
}

}  // namespace

BatchJobs::BatchJobs(base::EventLoop& loop, base::Clock& clock, compute::JobEvents& events, store::FlowStore& store,
                     net::AwsSession& session, BatchOptions options)
    : clock_(clock),
      events_(events),
      options_(std::move(options)),
      timers_(loop),
      api_(loop, clock, session,
           {.on_retry = [this](const CallFailure& failure, std::int64_t /*pause*/) { on_trouble(failure); }}),
      kept_logs_(loop, clock, session),
      watch_(loop, clock, api_,
             {.on_job = [this](Job&& job) { on_described(std::move(job)); },
              .on_lost = [this](const std::string& job) { on_lost(job); },
              .on_failure = [this](const CallFailure& failure,
                                   const std::vector<std::string>& jobs) { on_poll_failed(failure, jobs); }},
             options_.poll_every),
      submissions_(loop, clock, api_, store, options_.jobs,
                   [this](const Order& order, Placement&& placement) { on_placed(order, std::move(placement)); }) {}

BatchJobs::~BatchJobs() = default;

BatchJobs::Record* BatchJobs::find(Id attempt) {
  const auto found = records_.find(attempt);
  return found == records_.end() ? nullptr : &found->second;
}

AttemptId BatchJobs::attempt_of(const std::string& job) const {
  const auto found = by_job_.find(job);
  return found == by_job_.end() ? kNoAttempt : found->second;
}

/// Called when the service does not answer.
void BatchJobs::on_trouble(const CallFailure& failure) {
  if (!troubles_.add(clock_.monotonic_microseconds())) return;
  std::vector<Id> all;
  for (const auto& [attempt, record] : records_) all.push_back(attempt);
  events_.on_trouble(all, fmt::format("Retrying AWS Batch: {}", failure.advised()));
}

// --- from attempt to job

void BatchJobs::submit(const compute::JobOrder& order) {
  if (order.new_link) submissions_.renew_link();
  const PlacedRequest& placed = options_.requests.at(order.attempt->step.step);
  records_.insert_or_assign(order.id(), Record{.tries = order.tries, .placed = &placed});
  submissions_.add({.attempt = order.attempt, .placed = &placed, .tries = order.tries});
}

void BatchJobs::on_placed(const Order& order, Placement&& placement) {
  const Id attempt = order.attempt->id;
  Record* record = find(attempt);
  if (record == nullptr || record->tries != order.tries) {
    if (!placement.job.empty()) {  // it was removed meanwhile
      watch_.add(placement.job);
      watch_.terminate(placement.job, kStopped, [this] { end_if_idle(); });
    }
    return end_if_idle();
  }
  if (placement.job.empty()) {
    events_.on_no_job(attempt, placement.cause, placement.hopeless);
    return end_if_idle();
  }
  record->id = std::move(placement.job);
  record->job = {.id = record->id};
  by_job_[record->id] = attempt;
  watch_.add(record->id);
  events_.on_job(attempt, record->id);
  if (record->unwanted) terminate(attempt, *record);
  end_if_idle();
}

// --- states of the jobs

void BatchJobs::on_poll_failed(const CallFailure& failure, const std::vector<std::string>& jobs) {
  if (failure.transient) return on_trouble(failure);
  for (const std::string& job : jobs) {
    const Id attempt = attempt_of(job);
    Record* record = find(attempt);
    if (record == nullptr || record->ended) continue;
    remove(std::span(&attempt, 1));
    events_.on_no_job(attempt, failure.advised(), true);
  }
}

void BatchJobs::on_lost(const std::string& job) {
  const Id attempt = attempt_of(job);
  if (Record* record = find(attempt)) return report_end(attempt, *record, end_of_lost(job));
  watch_.remove(job);
}

void BatchJobs::on_described(Job&& job) {
  troubles_.over();
  const Id attempt = attempt_of(job.id);
  Record* record = find(attempt);
  if (record == nullptr) {
    if (has_ended(job.status)) watch_.remove(job.id);
    return;
  }
  const bool changed = record->job.status != job.status || record->job.reason != job.reason;
  record->job = std::move(job);
  if (!changed) return;
  watch_.poll_often();
  if (has_ended(record->job.status)) return report_end(attempt, *record, end_of(record->job));
  if (record->job.status == JobStatus::running)
    return events_.on_state(attempt, {.phase = JobState::Phase::running, .where = "Job is running."});
  events_.on_state(attempt, waiting_state(record->job));
  if (!awaits_instance(record->job)) return;
  timers_.after(options_.instance_due, [this, attempt, job = record->id] {
    const Record* waiting = find(attempt);
    if (waiting == nullptr || waiting->id != job || waiting->unwanted || !awaits_instance(waiting->job)) return;
    events_.on_state(attempt, {.trouble = kNoInstance, .notice = fmt::format("Job is RUNNABLE: {}", kNoInstance)});
  });
}

void BatchJobs::report_end(Id attempt, Record& record, compute::JobEnd&& end) {
  record.ended = true;
  watch_.remove(record.id);
  end.ran = record.job.started > 0;  // it may have run between two polls
  end.deliberate = record.job.terminated || record.job.cancelled;
  events_.on_state(attempt, {.phase = JobState::Phase::ended, .end = std::move(end)});
}

void BatchJobs::observe(Id attempt, std::function<void(const JobState&)> done) {
  if (const Record* record = find(attempt)) done(waiting_state(record->job));
}

/// Called when the supervisor has stored no log: the container's output is in CloudWatch.
void BatchJobs::read_kept_log(Id attempt, std::function<void(const std::string& failure)> done) {
  const Record& record = *find(attempt);
  if (record.job.log_stream.empty()) return done({});
  const auto& options = record.placed->request.log_options;
  const auto group = options.find("awslogs-group");
  kept_logs_.read(
      group == options.end() ? kLogGroup : group->second, record.job.log_stream, kKeptLog,
      [this, attempt](std::string_view line) {
        events_.on_log(attempt, store::Stream::err, fmt::format("{}\n", line));
      },
      [done = std::move(done)](LogApi::End&& end) { done(end.failure ? end.failure->advised() : std::string()); });
}

// --- stopping

void BatchJobs::terminate(Id attempt, const Record& record) {
  watch_.terminate(record.id, kStopped, [this, attempt] {
    if (const Record* terminated = find(attempt); terminated != nullptr && !terminated->ended) {
      watch_.poll_often();
      events_.on_removed(attempt, false);
    }
    end_if_idle();
  });
}

void BatchJobs::remove(std::span<const AttemptId> attempts) {
  for (const Id attempt : attempts) {
    Record* record = find(attempt);
    if (record == nullptr || record->ended || std::exchange(record->unwanted, true)) continue;
    if (!record->id.empty()) {
      terminate(attempt, *record);
    } else if (submissions_.withdraw(attempt)) {
      timers_.after(0, [this, attempt] {
        if (find(attempt) != nullptr) events_.on_removed(attempt, true);
      });
    }
  }
}

void BatchJobs::forget(Id attempt) {
  const auto found = records_.extract(attempt);
  if (!found.empty()) by_job_.erase(found.mapped().id);
}

void BatchJobs::end(std::function<void()> done) {
  done_ = std::move(done);
  end_if_idle();
}

/// Deferred, since the caller may have more to request.
void BatchJobs::end_if_idle() {
  if (!done_) return;
  timers_.after(0, [this] {
    if (watch_.is_idle() && submissions_.is_idle()) done_();
  });
}

}  // namespace metaflow::awsbatch
