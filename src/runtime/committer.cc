#include "runtime/committer.h"

#include <vector>

#include <metaflow/caught.h>
#include <metaflow/codec.h>

#include "base/format.h"
#include "compute/verdict.h"
#include "value/key.h"

namespace metaflow::runtime {

using store::AttemptEnd;
using store::TaskData;

namespace {

constexpr const char* kStopped = "[KILLED BY ORCHESTRATOR]";  // Metaflow's words
constexpr const char* kFailed = "Task failed.";

/// Names in data.json that clients do not show as artifacts: only `resume` needs them.
bool is_internal(std::string_view name) {
  return name == "_transition" || name == "_iteration_stack" || name == "_current_step" || name == "_foreach_var" ||
         name == "_foreach_num_splits" || name == "_foreach_values";
}

/// Whether the step failed, and `catch` has stored the failure: `_success` is False.
bool is_caught(const TaskData& data) {
  static const std::string kFalse = [] {
    detail::Pickler pickler;
    pickler.boolean(false);
    pickler.finish();
    return value::key_of(pickler.parts());
  }();
  const store::ArtifactRecord* success = data.find("_success");
  return success != nullptr && success->key == kFalse;
}

}  // namespace

TaskData visible(TaskData data) {
  std::erase_if(data.artifacts, [](const store::ArtifactRecord& artifact) { return is_internal(artifact.name); });
  return data;
}

void Committer::commit(compute::AttemptId attempt, ScheduledTask task, const compute::Verdict& verdict) {
  // An attempt that succeeded is usually committed: its log needs no more lines, and is written while its data is read.
  std::vector<store::OwnedObject> log;
  if (verdict.exited_with_zero && !verdict.log_stored) log = task.log->objects(services_.store, task.ref, task.attempt);
  const std::string path = services_.store.data_path(task.ref, task.attempt);
  const std::size_t awaited = 1 + (task.begun ? 0 : 1) + (log.empty() ? 0 : 1) + (verdict.data_read ? 0 : 1);
  waiting_.emplace(attempt, Waiting{{std::move(task), verdict, verdict.data}, awaited});
  if (!log.empty()) services_.background.put(std::move(log), [this, attempt] { progressed(attempt); });
  if (!verdict.data_read) {
    services_.background.get({path}, [this, attempt, path](auto&& contents) {
      if (contents[0]) {
        waiting_.at(attempt).ended.data =
            std::make_shared<const TaskData>(store::task_data_from_json(contents[0]->text(), path));
      }
      progressed(attempt);
    });
  }
  progressed(attempt);
}

/// Called when one of the reads and writes has finished.
void Committer::progressed(compute::AttemptId attempt) {
  if (--waiting_.at(attempt).awaited == 0) decide(attempt);
}

/// Defers `what` while another scheduler may hold the run; drops it once the run is lost. Returns true in both cases.
bool Committer::is_held_back(compute::AttemptId attempt, void (Committer::*what)(compute::AttemptId)) {
  if (!closed_ && services_.holds()) return false;
  held_back_.emplace_back(attempt, what);
  return true;
}

void Committer::resume_commits() {
  for (const auto& [attempt, what] : std::exchange(held_back_, {})) (this->*what)(attempt);
}

/// The process has ended and its result is known, so the outcome is final.
void Committer::decide(compute::AttemptId attempt) {
  if (is_held_back(attempt, &Committer::decide)) return;
  EndedAttempt& ended = waiting_.at(attempt).ended;
  const compute::Verdict& verdict = ended.verdict;
  ended.outcome = outcome_of(verdict, ended.data.get());
  if (ended.outcome == Outcome::done) return read_labels(attempt);
  describe_failure(ended);
  note_failure(ended);
  const ScheduledTask& task = ended.task;
  std::vector<store::OwnedObject> objects = ended.task.log->objects(services_.store, task.ref, task.attempt);
  // In a container the process may have ended before the supervisor wrote the begin mark. Readers find a later attempt
  // only if all attempts before it have a begin mark.
  if (task.elsewhere && ended.data == nullptr && !verdict.log_stored) {
    objects.push_back(services_.store.begin_mark(task.ref, task.attempt, services_.clock.wall_microseconds()));
  }
  services_.background.put(std::move(objects), [this, attempt] { mark_done(attempt); });
}

/// The cause, for users and for `catch`.
void Committer::describe_failure(EndedAttempt& ended) {
  ScheduledTask& task = ended.task;
  const compute::Verdict& verdict = ended.verdict;
  const bool threw = ended.outcome == Outcome::threw;
  ended.cause = threw ? ended.data->failure : verdict.cause;
  task.failure_type = CaughtException::kProcessDied;
  if (verdict.timed_out) {
    ended.cause = fmt::format("Step {} timed out after {}", task.ref.step, duration_in_words(task.policy.time_limit));
    if (verdict.killed_late) ended.cause += ", and was killed because it did not exit in time";
    task.failure_type = CaughtException::kTimedOut;
  } else if (!threw && ended.data != nullptr && ended.data->ok) {
    ended.cause += " The step had finished; the process died in exit(), perhaps in a static destructor.";
  }
  if (threw && verdict.lost_processes)
    ended.cause += fmt::format("{}{}", ended.cause.ends_with('.') ? " " : ". ", compute::kLostProcesses);
  task.failure = ended.cause;
}

/// Reports the failure on the terminal, and adds it to the attempt's log.
void Committer::note_failure(EndedAttempt& ended) {
  ScheduledTask& task = ended.task;
  if (ended.verdict.log_stored) task.log.emplace(task.log->another());  // for the lines of the scheduler
  if (task.stopped) {
    report_.print(task, kStopped);
    task.log->note(store::Stream::err, kStopped);
    return;
  }
  if (ended.outcome == Outcome::died && !ended.verdict.timeout_reported) {
    // A log that is shown while it is written already ends with the supervisor's message.
    if (task.last_line != ended.cause) report_.print(task, ended.cause, ReportLine::Kind::failure);
    task.log->note(store::Stream::err, ended.cause);
  }
  if (ended.outcome == Outcome::threw && ended.verdict.lost_processes) {
    report_.print(task, compute::kLostProcesses, ReportLine::Kind::failure);
    task.log->note(store::Stream::err, compute::kLostProcesses);
  }
  report_.print(task, kFailed, ReportLine::Kind::failure);
  task.log->note(store::Stream::err, kFailed);
}

/// Reads the labels of the items if the task yields a foreach: its children are shown with them.
void Committer::read_labels(compute::AttemptId attempt) {
  const store::TaskData& data = *waiting_.at(attempt).ended.data;
  const store::ArtifactRecord* record = store::labels_record(data);
  if (record == nullptr) return mark_done(attempt);
  services_.background.get({services_.store.value_path(record->key)}, [this, attempt, record](auto&& contents) {
    waiting_.at(attempt).ended.labels = store::read_labels(services_.store, *record, std::move(contents[0]));
    mark_done(attempt);
  });
}

/// Writes the done mark, unless the supervisor wrote it or the attempt died. An attempt whose step threw is marked,
/// too: its artifacts are visible, with attempt_ok = false.
void Committer::mark_done(compute::AttemptId attempt) {
  if (is_held_back(attempt, &Committer::mark_done)) return;
  const EndedAttempt& ended = waiting_.at(attempt).ended;
  if (ended.outcome == Outcome::died || ended.verdict.committed) return finish(attempt);
  services_.background.put({services_.store.done_mark(ended.task.ref, ended.task.attempt)},
                           [this, attempt] { finish(attempt); });
}

/// Everything is in the store.
void Committer::finish(compute::AttemptId attempt) {
  if (is_held_back(attempt, &Committer::finish)) return;
  auto node = waiting_.extract(attempt);
  EndedAttempt& ended = node.mapped().ended;
  update_metadata(ended);
  report_end(ended);
  committed_(std::move(ended));
}

void Committer::update_metadata(const EndedAttempt& ended) {
  const ScheduledTask& task = ended.task;
  store::MetadataWriter& metadata = services_.metadata;
  if (ended.outcome == Outcome::died) return metadata.attempt_ends(task.ref, task.attempt, false);
  metadata.add_artifacts(task.ref, visible(*ended.data), services_.clock.wall_microseconds());
  metadata.attempt_ends(task.ref, task.attempt, ended.data->ok);
  metadata.add_fields(task.ref, task.attempt, {{"attempt-done", std::to_string(task.attempt), ""}});
}

void Committer::report_end(const EndedAttempt& ended) {
  const ScheduledTask& task = ended.task;
  const bool done = ended.outcome == Outcome::done;
  const bool caught = done && is_caught(*ended.data);
  const AttemptEnd how = done ? AttemptEnd::done : task.stopped ? AttemptEnd::stopped : AttemptEnd::failed;
  services_.journal.attempt_ends(services_.journal.now(), task.ref, task.attempt, how, ended.verdict.usage, ended.cause,
                                 caught);
  if (done && ended.data->splits) report_.yields(task, *ended.data->splits);
  report_.ended(task, how, caught, ended.verdict, ended.cause);
  if (done) report_.print(task, "Task finished successfully.");
}

}  // namespace metaflow::runtime
