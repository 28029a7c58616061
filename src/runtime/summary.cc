#include "runtime/summary.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/format.h"

namespace metaflow::runtime {

using store::AttemptEnd;

std::uint64_t StepSummary::left() const {
  const std::uint64_t over = done + cloned + failed;
  return expected > over ? expected - over : 0;
}

std::int64_t StepSummary::time_left(std::int64_t now) const {
  if (began == 0 || done == 0 || now <= began) return -1;
  const double per_task = static_cast<double>(now - began) / static_cast<double>(done);
  return static_cast<std::int64_t>(per_task * static_cast<double>(left()));
}

std::vector<StepSummary> summarise(const store::RunHistory& history, const std::vector<std::string>& order) {
  std::vector<StepSummary> steps;
  std::unordered_map<std::string, std::size_t> index;
  auto at = [&](const std::string& name) -> StepSummary& {
    const auto [found, is_new] = index.try_emplace(name, steps.size());
    if (is_new) steps.emplace_back().step = name;
    return steps[found->second];
  };
  for (const std::string& name : order) at(name);
  for (const auto& [name, tasks] : history.expected) at(name).expected = tasks;
  for (const store::CloneHistory& clone : history.clones) ++at(clone.task.step).cloned;

  // The last attempt of a task counts.
  std::unordered_map<std::string, const store::AttemptHistory*> last;
  for (const store::AttemptHistory& attempt : history.attempts) {
    StepSummary& step = at(attempt.task.step);
    if (step.began == 0) step.began = attempt.began;
    step.peak_memory = std::max(step.peak_memory, attempt.usage.peak_memory);
    step.cpu_seconds += attempt.usage.cpu_seconds;
    if (attempt.how == AttemptEnd::failed) ++step.attempts_failed;
    last[attempt.task.step + "/" + attempt.task.task] = &attempt;
  }
  for (const auto& [task, attempt] : last) {
    StepSummary& step = at(attempt->task.step);
    switch (attempt->how) {
      case AttemptEnd::done: ++step.done; break;
      case AttemptEnd::failed: ++step.failed; break;
      case AttemptEnd::running: ++step.running; break;
      case AttemptEnd::stopped: break;
    }
  }
  return steps;
}

std::string clock_time(std::int64_t microseconds) {
  const std::int64_t seconds = microseconds / 1'000'000;
  return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace metaflow::runtime
