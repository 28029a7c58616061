#include "runtime/summary.h"

#include <algorithm>

#include "base/format.h"

namespace metaflow::runtime {

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
  for (const std::string& name : order) {
    const auto found = history.steps.find(name);
    steps.push_back({found == history.steps.end() ? store::StepHistory{} : found->second, name});
  }
  for (const auto& [name, step] : history.steps)
    if (std::find(order.begin(), order.end(), name) == order.end()) steps.push_back({step, name});
  return steps;
}

std::string clock_time(std::int64_t microseconds) {
  const std::int64_t seconds = std::max<std::int64_t>(microseconds, 0) / 1'000'000;
  return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace metaflow::runtime
