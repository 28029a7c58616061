#include "platforms/process/process_jobs.h"

#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/process.h"
#include "compute/remote/job_identity.h"
#include "compute/remote/step_array.h"

namespace metaflow::process_platform {

using compute::EndedBy;
using compute::JobOrder;
using compute::JobState;

namespace {

using Phase = SpooledState::Phase;

constexpr std::size_t kLongestNumbers = 10'000;
constexpr const char* kAccess = "Jobs are processes of this machine, and use the store as it does.";

compute::JobEnd end_of(const SpooledState& state) {
  compute::JobEnd end{.succeeded = state.status == 0, .exit_code = state.status, .ran = state.ran};
  switch (state.by) {
    case SpooledState::EndedBy::itself:
      if (!end.succeeded) end = compute::end_by_exit_status(state.status, {}, kAccess);
      break;
    case SpooledState::EndedBy::deadline:
      end.by = EndedBy::deadline;
      end.cause = "The process timed out.";
      break;
    case SpooledState::EndedBy::removal:
      end.by = EndedBy::cluster;
      end.cause = "The process was terminated externally.";
      end.deliberate = true;
      break;
    case SpooledState::EndedBy::loss:
      end.by = EndedBy::cluster;
      end.cause = "The process was lost with its runner.";
      end.lost = true;
      break;
  }
  end.ran = state.ran;
  return end;
}

}  // namespace

ProcessJobs::ProcessJobs(base::EventLoop& loop, compute::JobEvents& events, store::FlowStore& store,
                         ProcessOptions options)
    : events_(events),
      store_(store),
      options_(std::move(options)),
      spool_(options_.spool),
      timers_(loop),
      watch_(loop, options_.spool, [this](const std::string& file) { on_file(file); }) {}

ProcessJobs::Record* ProcessJobs::find(Id attempt) {
  const auto found = records_.find(attempt);
  return found == records_.end() ? nullptr : &found->second;
}

// --- from attempt to job

void ProcessJobs::submit(const JobOrder& order) {
  records_.insert_or_assign(order.id(), Record{.order = order});
  due_.push_back(order);
  if (due_.size() == 1) timers_.after(0, [this] { send_ready(); });
}

/// What was submitted in one turn of the loop, alike ones as an array.
void ProcessJobs::send_ready() {
  std::map<std::string, std::vector<JobOrder>> groups;  // by what is the same
  for (JobOrder& order : std::exchange(due_, {})) {
    const Record* record = find(order.id());
    if (record == nullptr || record->order.tries != order.tries) continue;  // it was taken back
    std::string key = compute::StepArray::key(order.attempt->step).value_or(fmt::format("{}", order.id()));
    key += fmt::format("\n{}\n{}", order.tries, order.attempt->time_limit);
    for (const std::string& variable : order.attempt->environment) key += '\0' + variable;
    groups[key].push_back(std::move(order));
  }
  for (const auto& [key, orders] : groups) {
    if (orders.size() >= kFewest) {
      send(orders);
    } else {
      for (const JobOrder& order : orders) send({order});
    }
  }
}

void ProcessJobs::send(const std::vector<JobOrder>& orders) {
  const SpooledJob job = describe(orders);
  try {
    spool_.write(job);
  } catch (const Error& error) {
    for (const JobOrder& order : orders) events_.on_no_job(order.id(), error.what(), true);
    return;
  }
  sent_.push_back(job);
  for (std::size_t place = 0; place < orders.size(); ++place) {
    const std::string id = job.id(place);
    const Id attempt = orders[place].id();
    find(attempt)->job = id;
    by_job_[id] = attempt;
    unfinished_.insert(id);
    events_.on_job(attempt, id);
    look(id);
  }
}

SpooledJob ProcessJobs::describe(const std::vector<JobOrder>& orders) const {
  const compute::Attempt& attempt = *orders[0].attempt;
  compute::StepArray array;
  for (const JobOrder& order : orders) array.add(order.attempt->step, kLongestNumbers);
  const compute::JobIdentity identity{
      store_.flow(), options_.run, attempt.step.step, array.tasks(), attempt.step.retry_count, options_.user};
  const std::string& root = store_.storage().root();
  SpooledJob job{.name = "p-" + compute::attempt_key(identity, root, orders[0].tries),
                 .flow = identity.flow,
                 .run = identity.run,
                 .run_key = compute::run_key(identity.flow, identity.run, root),
                 .step = identity.step,
                 .task = identity.task,
                 .attempt = identity.attempt,
                 .user = identity.user,
                 .command = options_.command,
                 .environment = options_.environment,
                 .size = orders.size()};
  job.command.insert(job.command.end(), {"supervise", "--max-log-size", fmt::format("{}", options_.max_log_size)});
  for (std::string& word : array.words()) job.command.push_back(std::move(word));
  job.command.emplace_back("--");
  for (std::string& word : compute::to_command_line(array.first())) job.command.push_back(std::move(word));
  for (const std::string& variable : attempt.environment) base::set_variable(job.environment, variable);
  if (const auto request = options_.requests.find(job.step); request != options_.requests.end()) {
    job.slots = request->second.slots;
    job.limit = request->second.limit;
  }
  if (job.limit == 0 && attempt.time_limit > 0) job.limit = attempt.time_limit + kLate;
  return job;
}

// --- what becomes of the jobs

void ProcessJobs::on_file(const std::string& file) {
  if (const auto job = without_ending(file, ".state"); job && unfinished_.contains(*job)) look(*job);
}

void ProcessJobs::look(const std::string& job) {
  const auto state = spool_.state(job);
  if (!state) return;
  if (state->phase == Phase::ended) {
    unfinished_.erase(job);
    end_if_idle();
  }
  if (const auto found = by_job_.find(job); found != by_job_.end()) tell(found->second, *state);
}

/// From the loop: a file that came while a job was submitted is read at once.
void ProcessJobs::tell(Id attempt, const SpooledState& state) {
  find(attempt)->state = state;
  timers_.after(0, [this, attempt, state] {
    if (find(attempt) == nullptr) return;
    switch (state.phase) {
      case Phase::waiting:
        return events_.on_state(attempt, {.trouble = state.reason, .notice = fmt::format("Job {}", state.reason)});
      case Phase::running:
        return events_.on_state(attempt, {.phase = JobState::Phase::running, .where = "Job is running."});
      case Phase::ended: return events_.on_state(attempt, {.phase = JobState::Phase::ended, .end = end_of(state)});
    }
  });
}

void ProcessJobs::observe(Id attempt, std::function<void(const JobState&)> told) {
  if (const Record* record = find(attempt)) told({.trouble = record->state.reason});
}

/// Its supervisor did not come to store a log.
void ProcessJobs::read_kept_log(Id attempt, std::function<void(const std::string& failure)> done) {
  const auto log = base::try_read_file(spool_.path(find(attempt)->job + ".log"));
  if (log && !log->text().empty()) events_.on_log(attempt, store::Stream::err, log->text());
  done({});
}

// --- stopping

void ProcessJobs::remove(std::span<const Id> attempts) {
  std::vector<std::string> running;
  for (const Id attempt : attempts) {
    const Record* record = find(attempt);
    if (record == nullptr) continue;
    const bool is_sent = !record->job.empty();
    if (!is_sent) {
      std::erase_if(due_, [&](const JobOrder& order) { return order.id() == attempt; });
    } else if (unfinished_.contains(record->job) && record->state.phase == Phase::running) {
      running.push_back(record->job);
    } else if (unfinished_.contains(record->job)) {
      spool_.ask_to_remove(record->job);
    }
    timers_.after(0, [this, attempt, is_sent] {
      if (find(attempt) != nullptr) events_.on_removed(attempt, !is_sent);
    });
  }
  // Last: one that ends lets another one begin.
  for (const std::string& job : running) spool_.ask_to_remove(job);
}

void ProcessJobs::forget(Id attempt) {
  const auto found = records_.extract(attempt);
  if (found.empty()) return;
  std::erase_if(due_, [&](const JobOrder& order) { return order.id() == attempt; });
  by_job_.erase(found.mapped().job);
}

void ProcessJobs::end(std::function<void()> done) {
  done_ = std::move(done);
  for (const std::string& job : unfinished_) spool_.ask_to_remove(job);
  end_if_idle();
}

/// Runs from the loop, since the caller may submit more jobs.
void ProcessJobs::end_if_idle() {
  if (!done_) return;
  timers_.after(0, [this] {
    if (!unfinished_.empty()) return;
    for (const SpooledJob& job : std::exchange(sent_, {})) spool_.erase(job);
    done_();
  });
}

}  // namespace metaflow::process_platform
