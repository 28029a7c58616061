// A platform that does what a test says.
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

/// The log of a platform: it ends when the test says so.
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

/// Notes what it is asked for, as "submit 1", "remove 1 2"; a test plays the platform's part by `events`.
class ScriptedJobs : public RemoteJobs {
 public:
  explicit ScriptedJobs(JobEvents& told) : events(told) {}

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
  void observe(AttemptId attempt, std::function<void(const JobState&)> told) override {
    asked.push_back(fmt::format("observe {}", attempt));
    observing[attempt] = std::move(told);
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
    done(kept_log_failure);
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
  bool ends = true;
  std::function<void()> on_end;
};

}  // namespace metaflow::compute
