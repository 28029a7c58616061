// Shared by the tests of RemoteAttempts: attempts on a scripted platform, and a store in memory.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <metaflow/error.h>

#include "base/testing.h"
#include "base/text.h"
#include "compute/remote/remote_attempts.h"
#include "compute/remote/testing.h"
#include "compute/testing.h"
#include "store/memory/memory_storage.h"
#include "store/mflog.h"

namespace metaflow::compute {

/// A store that cannot be read while `is_away`.
class FragileStorage : public store::MemoryStorage {
 public:
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override {
    if (is_away) throw Error(ErrorCode::data_store, "no connection");
    return MemoryStorage::get(paths);
  }
  bool is_away = false;
};

class RemoteAttemptsTest : public testing::Test {
 protected:
  RemoteAttemptsTest() { make({.unit = "pod", .uncounted_retries = 2, .followed = 2, .readers = 0}); }

  void make(const RemoteOptions& options) {
    attempts_.reset();
    attempts_.emplace(
        loop_, clock_, events_, [this] { return std::make_unique<store::FlowStore>(storage_, "F"); }, options,
        [this](JobEvents& events) {
          auto jobs = std::make_unique<ScriptedJobs>(events);
          jobs_ = jobs.get();
          return jobs;
        });
  }
  JobEvents& job_events() { return jobs_->events; }

  static Attempt attempt(AttemptId id, std::int64_t time_limit = 0) {
    Attempt made{.id = id, .step = {}, .environment = {}, .time_limit = time_limit};
    made.step.run = "7";
    made.step.step = "work";
    made.step.task = std::to_string(id);
    return made;
  }
  static store::TaskRef task(AttemptId id) { return {"7", "work", std::to_string(id)}; }
  void submit(AttemptId id) {
    attempts_->submit(attempt(id));
    job_events().on_job(id, "j" + std::to_string(id));
    settle();
  }
  void run(AttemptId id) {
    submit(id);
    job_events().on_state(id, {.phase = JobState::Phase::running, .where = "Pod is running."});
    settle();
  }
  void end(AttemptId id, JobEnd end) {
    job_events().on_state(id, {.phase = JobState::Phase::ended, .end = std::move(end)});
    settle();
  }
  static JobEnd succeeded() { return {.succeeded = true, .exit_code = 0}; }
  static JobEnd failed(EndedBy by, int status, const char* cause) {
    return {.by = by, .exit_code = status, .cause = cause};
  }

  /// Stores what the supervisor of a successful attempt stores.
  void commit(AttemptId id) {
    store_.write_exit_report(task(id), 0,
                             {.stage = store::Stage::commit, .committed = true, .exited = true, .exit_code = 0});
    store_.mark_done(task(id), 0);
  }
  /// `lines`: separated by line breaks.
  void write_log(AttemptId id, const std::string& lines) {
    std::string log;
    std::int64_t stamp = clock_.now;
    for (const std::string& line : base::split(lines, '\n')) log += store::format_log_line(stamp++, "task", line);
    const auto bytes = base::as_bytes(log);
    store_.write_log(task(id), 0, store::LogSource::task, store::Stream::out, store::Pieces(&bytes, 1));
  }
  /// Runs what is due, and what follows from it.
  void settle() {
    for (int i = 0; i < 5; ++i) loop_.poll();
  }
  void wait(std::int64_t microseconds) {
    clock_.now += microseconds;
    settle();
  }
  std::string cause(AttemptId id) { return events_.verdicts.at(id).cause; }

  base::FakeClock clock_;
  base::EventLoop loop_{clock_};
  std::shared_ptr<FragileStorage> storage_ = std::make_shared<FragileStorage>();
  store::FlowStore store_{storage_, "F"};
  RecordingEvents events_;
  ScriptedJobs* jobs_ = nullptr;
  std::optional<RemoteAttempts> attempts_;
};

}  // namespace metaflow::compute
