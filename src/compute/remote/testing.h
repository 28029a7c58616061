// Shared by tests of attempts elsewhere: a scripted platform, and a recorder of a platform's events.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/format.h"
#include "compute/remote/remote_jobs.h"

namespace metaflow::compute {

/// The log of a platform, which ends when a test ends it.
class ScriptedLog : public LiveLog {
 public:
  explicit ScriptedLog(bool& is_stopped) : is_stopped_(is_stopped) {}
  bool finish() override { return false; }
  void stop() override { is_stopped_ = true; }
  bool needs_stored_log() const override { return false; }
  std::string_view rest(store::Stream, std::string_view) const override { return {}; }

 private:
  bool& is_stopped_;
};

/// Records its requests as "submit 1", "remove 1 2"; a test plays the platform's part by `events`.
class ScriptedJobs : public RemoteJobs {
 public:
  explicit ScriptedJobs(JobEvents& job_events) : events(job_events) {}

  void submit(const JobOrder& order) override {
    asked.push_back(fmt::format("submit {}{}{}", order.id(), order.tries > 0 ? fmt::format(" try {}", order.tries) : "",
                                order.new_link ? " new link" : ""));
    known.insert(order.id());
  }
  void remove(std::span<const AttemptId> attempts) override {
    std::string line = "remove";
    for (const AttemptId attempt : attempts) line += fmt::format(" {}", attempt);
    asked.push_back(line);
  }
  void observe(AttemptId attempt, std::function<void(const JobState&)> done) override {
    asked.push_back(fmt::format("observe {}", attempt));
    observing[attempt] = std::move(done);
  }
  std::unique_ptr<LiveLog> follow(AttemptId attempt) override {
    asked.push_back(fmt::format("follow {}", attempt));
    if (!has_logs) return nullptr;
    return std::make_unique<ScriptedLog>(log_stopped[attempt]);
  }
  void forget(AttemptId attempt) override {
    asked.push_back(fmt::format("forget {}", attempt));
    known.erase(attempt);
  }
  void read_kept_log(AttemptId attempt, std::function<void(const std::string&)> done) override {
    for (const std::string& line : kept_log) events.on_log(attempt, store::Stream::err, line);
    if (kept_log_ends) done(kept_log_failure);
  }
  void end(std::function<void()> done) override {
    asked.push_back("end");
    if (on_end) on_end();
    if (ends) done();
  }

  std::vector<std::string> take() { return std::exchange(asked, {}); }

  JobEvents& events;
  std::vector<std::string> asked;
  std::set<AttemptId> known;
  std::map<AttemptId, std::function<void(const JobState&)>> observing;
  std::map<AttemptId, bool> log_stopped;
  bool has_logs = true;
  std::vector<std::string> kept_log;
  std::string kept_log_failure;
  bool kept_log_ends = true;
  bool ends = true;
  std::function<void()> on_end;
};

/// Records the events for RemoteAttempts: "1 job x", "1 no job: cause", "1 waiting: notice", "1 running: where", "1
/// ended: cause", "1 removed", "1 log text", "1 trouble words".
class RecordingJobEvents : public JobEvents {
 public:
  void on_job(AttemptId attempt, const std::string& name) override { note(attempt, "job " + name); }
  void on_no_job(AttemptId attempt, const std::string& cause, bool hopeless) override {
    note(attempt, fmt::format("no job{}: {}", hopeless ? ", hopeless" : "", cause));
  }
  void on_state(AttemptId attempt, JobState&& state) override {
    using Phase = JobState::Phase;
    const std::string& cause = state.end.succeeded ? "succeeded" : state.end.cause;
    if (state.phase == Phase::ended) note(attempt, "ended: " + cause);
    if (state.phase == Phase::running) note(attempt, "running: " + state.where);
    if (state.phase == Phase::waiting) note(attempt, "waiting: " + state.notice);
    states[attempt] = std::move(state);
  }
  void on_removed(AttemptId attempt, bool is_gone) override { note(attempt, is_gone ? "removed, gone" : "removed"); }
  void on_log(AttemptId attempt, store::Stream /*stream*/, std::string_view bytes) override {
    note(attempt, fmt::format("log {}", bytes));
  }
  void on_log_end(AttemptId attempt, bool whole) override { note(attempt, whole ? "log end" : "log broken off"); }
  void on_trouble(std::span<const AttemptId> attempts, const std::string& words) override {
    for (const AttemptId attempt : attempts) note(attempt, "trouble " + words);
  }

  /// Returns how many lines contain `text`.
  std::size_t count(std::string_view text) const {
    std::size_t found = 0;
    for (const std::string& line : lines) found += line.find(text) == std::string::npos ? 0 : 1;
    return found;
  }
  std::vector<std::string> take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
  std::map<AttemptId, JobState> states;  // as last reported

 private:
  void note(AttemptId attempt, const std::string& text) { lines.push_back(fmt::format("{} {}", attempt, text)); }
};

/// An attempt of the step `work` of run 7.
inline JobOrder order_of(AttemptId id, int tries = 0) {
  auto attempt = std::make_shared<Attempt>();
  attempt->id = id;
  attempt->step.datastore_root = "s3://runs";
  attempt->step.run = "7";
  attempt->step.step = "work";
  attempt->step.task = std::to_string(id);
  attempt->step.inputs = {{"7", "start", "1"}};
  attempt->step.split_index = id;
  return {.attempt = std::move(attempt), .tries = tries};
}

}  // namespace metaflow::compute
