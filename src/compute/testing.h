// Shared by tests of backends: a recorder of their events.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/format.h"
#include "compute/backend.h"

namespace metaflow::compute {

/// Lines like "1 started job x", "1 notice Pod is running.", "1 out text", "1 finished: Task was stopped."
class RecordingEvents : public BackendEvents {
 public:
  void on_started(AttemptId attempt, const std::string& where) override { note(attempt, "started " + where); }
  void on_notice(std::span<const AttemptId> attempts, std::string_view text, bool /*usual*/) override {
    for (const AttemptId attempt : attempts) note(attempt, fmt::format("notice {}", text));
  }
  void on_output(AttemptId attempt, store::Stream stream, std::string_view bytes) override {
    note(attempt, fmt::format("{} {}", stream == store::Stream::out ? "out" : "err", bytes));
    output[{attempt, stream}] += bytes;
  }
  void on_finished(AttemptId attempt, const Verdict& verdict) override {
    note(attempt, verdict.exited_with_zero ? "finished successfully" : "finished: " + verdict.cause);
    ++finished[attempt];
    verdicts[attempt] = verdict;
  }

  /// Returns the events since the last call.
  std::vector<std::string> take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
  std::map<std::pair<AttemptId, store::Stream>, std::string> output;
  std::map<AttemptId, int> finished;  // how often
  std::map<AttemptId, Verdict> verdicts;

 private:
  void note(AttemptId attempt, const std::string& text) { lines.push_back(fmt::format("{} {}", attempt, text)); }
};

}  // namespace metaflow::compute
