// The part of a run that judges attempts whose process has ended, and commits what they left.

#include <metaflow/caught.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "runtime/outcome.h"
#include "runtime/run.h"

namespace metaflow::runtime {

using store::AttemptEnd;
using store::TaskData;
using store::TaskRef;

namespace {

constexpr std::int64_t kMinute = 60'000'000;   // microseconds
constexpr std::int64_t kFarewell = 1'000'000;  // that the store has after tasks were killed at the user's word

}  // namespace

void Run::on_finished(compute::AttemptId attempt, const compute::Verdict& verdict) {
  auto node = running_.extract(attempt);
  Task& task = node.mapped();
  task.log->finish([&](std::string_view text, std::int64_t time) {
    task.last_line = text;
    services_.reporter.print({ReportLine::Kind::output, time, task.name, task.where, text});
  });
  // What ended well is committed, as a rule: its log needs no more lines, and is written while its data is read.
  std::vector<store::OwnedObject> log;
  if (verdict.exited_well && !verdict.log_stored) log = task.log->objects(services_.store, task.ref, task.attempt);
  const std::string path = services_.store.data_path(task.ref, task.attempt);
  const bool begun = task.begun;
  Ended& ended = ended_.emplace(attempt, Ended{std::move(task), verdict, verdict.data, 0, {}}).first->second;
  ended.awaited = 1 + (begun ? 0 : 1) + (log.empty() ? 0 : 1) + (verdict.data_read ? 0 : 1);
  if (!log.empty()) services_.background.put(std::move(log), [this, attempt] { progressed(attempt); });
  if (!verdict.data_read) {
    services_.background.get({path}, [this, attempt, path](auto&& contents) {
      if (contents[0])
        ended_.at(attempt).data =
            std::make_shared<const TaskData>(store::task_data_from_json(contents[0]->text(), path));
      progressed(attempt);
    });
  }
  if (killed_ && running_.empty() && !farewell_)
    farewell_ = services_.loop.after(kFarewell, [this] { impatient_ = true; });
  progressed(attempt);
}

/// One of the reads and writes is over.
void Run::progressed(compute::AttemptId attempt) {
  if (--ended_.at(attempt).awaited == 0) judge(attempt);
}

/// Makes what the attempt left visible, in the order that readers rely on. Its process has ended, so nothing can go
/// wrong with it any more.
void Run::judge(compute::AttemptId attempt) {
  Ended& ended = ended_.at(attempt);
  const compute::Verdict& verdict = ended.verdict;
  const Outcome outcome = outcome_of(verdict.exited, verdict.exited_well, ended.data.get());
  if (outcome == Outcome::done) {
    return verdict.committed ? succeeded(attempt) : mark_done(attempt, &Run::succeeded);
  }
  describe_failure(ended);
  Task& task = ended.task;
  std::vector<store::OwnedObject> objects = task.log->objects(services_.store, task.ref, task.attempt);
  // Elsewhere, it may have ended before its supervisor could note that it began: readers find a later attempt only
  // behind those that began.
  const auto step = static_cast<std::size_t>(task.work.step);
  if (!remote_.empty() && remote_[step] && ended.data == nullptr && !verdict.log_stored)
    objects.push_back(services_.store.begin_mark(task.ref, task.attempt, now()));
  // What it had set when it threw is visible; it is marked as not ok.
  const bool to_be_done = outcome == Outcome::threw && !verdict.committed;
  services_.background.put(std::move(objects), [this, attempt, to_be_done] {
    return to_be_done ? mark_done(attempt, &Run::attempt_failed) : attempt_failed(attempt);
  });
}

void Run::mark_done(compute::AttemptId attempt, void (Run::*then)(compute::AttemptId)) {
  const Task& task = ended_.at(attempt).task;
  services_.background.put({services_.store.done_mark(task.ref, task.attempt)},
                           [this, attempt, then] { (this->*then)(attempt); });
}

/// For people, and for the attempt's log.
void Run::describe_failure(Ended& ended) {
  Task& task = ended.task;
  const compute::Verdict& verdict = ended.verdict;
  const TaskData* data = ended.data.get();
  const bool threw = outcome_of(verdict.exited, verdict.exited_well, data) == Outcome::threw;
  std::string& cause = ended.cause;
  cause = threw ? data->failure : verdict.cause;
  task.failure_type = CaughtException::kProcessDied;
  if (verdict.timed_out) {
    cause = fmt::format("Step {} timed out after {}", task.ref.step, duration_in_words(policy(task).time_limit));
    if (verdict.killed_late) cause += ", and was killed since it did not end by itself";
    task.failure_type = CaughtException::kTimedOut;
  } else if (!threw && data != nullptr && data->ok) {
    cause += " Its step had finished: it died in exit(), perhaps in a static destructor.";
  }
  task.failure = cause;

  if (verdict.log_stored) task.log.emplace(log_stamps_, options_.max_log_size * 1'000'000);  // for what we note
  if (task.stopped) {
    ++stopped_tasks_;
    say(task, "[KILLED BY ORCHESTRATOR]");
    task.log->note(store::Stream::err, "[KILLED BY ORCHESTRATOR]");
  } else {
    if (!threw && !verdict.told) {
      // A log that is shown while it is written ends with what the supervisor said of the end.
      if (task.last_line != cause) say(task, cause, ReportLine::Kind::failure);
      task.log->note(store::Stream::err, cause);
    }
    say(task, "Task failed.", ReportLine::Kind::failure);
    task.log->note(store::Stream::err, "Task failed.");
  }
}

/// The artifacts of what ended well, or threw, for the clients.
void Run::make_visible(const Ended& ended) {
  const Task& task = ended.task;
  services_.metadata.add_artifacts(task.ref, visible(*ended.data), now());
  services_.metadata.attempt_ends(task.ref, task.attempt, ended.data->ok);
  services_.metadata.add_fields(task.ref, task.attempt, {{"attempt-done", std::to_string(task.attempt), ""}});
}

void Run::succeeded(compute::AttemptId attempt) {
  const auto node = ended_.extract(attempt);
  const Ended& ended = node.mapped();
  const Task& task = ended.task;
  make_visible(ended);
  StepProgress& at = progress(task.work.step);
  --at.running;
  ++at.done;
  services_.journal.attempt_ends(now(), task.ref, task.attempt, AttemptEnd::done, ended.verdict.usage, "");
  if (ended.data->splits) say(task, fmt::format("Foreach yields {} child steps.", *ended.data->splits));
  say(task, "Task finished successfully.");
  follow(task.work, task.ref, *ended.data);
}

void Run::attempt_failed(compute::AttemptId attempt) {
  auto node = ended_.extract(attempt);
  Ended& ended = node.mapped();
  Task& task = ended.task;
  const compute::Verdict& verdict = ended.verdict;
  --progress(task.work.step).running;
  if (outcome_of(verdict.exited, verdict.exited_well, ended.data.get()) == Outcome::threw) {
    make_visible(ended);
  } else {
    services_.metadata.attempt_ends(task.ref, task.attempt, false);
  }
  services_.journal.attempt_ends(now(), task.ref, task.attempt, task.stopped ? AttemptEnd::stopped : AttemptEnd::failed,
                                 verdict.usage, ended.cause);
  if (task.stopped) return void(++progress(task.work.step).failed);
  if (!stopping() && try_again(task, verdict)) return;
  ++progress(task.work.step).failed;
  if (stopping()) return;  // the first failure is the one to tell
  say(task, fmt::format("To execute it again, by itself: {} debug {}", options_.program, task.ref.path()),
      ReportLine::Kind::failure);
  fail(fmt::format("Step {} (task-id {}) failed.", task.ref.step, task.ref.task));
}

/// Makes the next attempt of a task, if it may have one.
bool Run::try_again(Task& task, const compute::Verdict& verdict) {
  const AttemptPolicy limits = policy(task);
  if (verdict.hopeless) return false;
  const bool uncounted = task.lost < verdict.uncounted && limits.may_grow();
  if (!uncounted && task.attempt + 1 >= limits.attempts()) return false;
  ++task.attempt;
  task.stopped = false;
  if (uncounted) {
    ++task.lost;
    say(task, fmt::format("It was lost with its machine: it is executed again, which is no retry ({} of {}).",
                          task.lost, verdict.uncounted));
    again_.push_back(std::move(task));
    return true;
  }
  if (limits.pause == 0 || limits.is_fallback(task.attempt)) {
    again_.push_back(std::move(task));
    return true;
  }
  say(task, fmt::format("Sleeping {:g} minute{} before the next retry", static_cast<double>(limits.pause) / kMinute,
                        limits.pause == kMinute ? "" : "s"));
  auto timer = std::make_shared<base::EventLoop::Timer>(0);
  *timer = services_.loop.after(limits.pause, [this, timer] {
    auto node = pausing_.extract(*timer);
    if (node) again_.push_back(std::move(node.mapped()));
  });
  pausing_.emplace(*timer, std::move(task));
  return true;
}

void Run::follow(const Ready& work, const TaskRef& task, const TaskData& data) {
  try {
    frontier_.follow(work, task, data);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::step_failure) throw;
    if (!stopping()) fail(error.what());
  }
}

}  // namespace metaflow::runtime
