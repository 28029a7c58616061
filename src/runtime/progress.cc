#include "runtime/progress.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "runtime/summary.h"

namespace metaflow::runtime {

namespace {

constexpr std::size_t kBar = 20;
constexpr std::int64_t kRateFrom = 1'000'000;  // no rate is shown before this: it would mean little

std::string rate_of(const StepProgress& at, std::int64_t now) {
  const std::size_t executed = at.done - at.cloned;
  const std::int64_t elapsed = now - at.began;
  if (at.began == 0 || executed == 0 || elapsed < kRateFrom) return {};
  const double rate = static_cast<double>(executed) / (static_cast<double>(elapsed) * 1e-6);
  const auto left = static_cast<double>(at.expected - std::min(at.expected, at.done + at.failed));
  const std::string text = rate >= 10  ? fmt::format(", {:.0f}/s", rate)
                           : rate >= 1 ? fmt::format(", {:.1f}/s", rate)
                                       : fmt::format(", {:.1f}/min", rate * 60);
  return text + fmt::format(", {} left", clock_time(static_cast<std::int64_t>(left / rate * 1e6)));
}

std::string line_of(const std::string& name, std::size_t width, const StepProgress& at, std::int64_t now,
                    std::size_t columns) {
  const std::size_t over = at.done + at.failed;
  const std::size_t filled = at.expected == 0 ? 0 : std::min(kBar, kBar * over / at.expected);
  std::string start = fmt::format("{:<{}}", base::first_characters(name, columns / 2), std::min(width, columns / 2));
  std::string bar = fmt::format(" [{}{}]", std::string(filled, '#'), std::string(kBar - filled, '-'));
  std::string count = fmt::format(" {} of {}", base::grouped(at.done), base::grouped(at.expected));
  std::string running = fmt::format(", {} running", base::grouped(at.running));
  std::string failed = at.failed > 0 ? fmt::format(", {} failed", base::grouped(at.failed)) : "";
  std::string rate = rate_of(at, now);
  // The most important parts first.
  std::size_t used = base::characters(start) + base::characters(count);
  for (std::string* part : {&failed, &running, &bar, &rate}) {
    if (used + part->size() > columns) {
      part->clear();
    } else {
      used += part->size();
    }
  }
  return start + bar + count + running + failed + rate;
}

}  // namespace

std::vector<std::string> live_view(const graph::Graph& graph, const std::vector<StepProgress>& progress,
                                   std::int64_t now, std::size_t most, std::size_t columns) {
  std::vector<int> shown;
  std::size_t width = 0;
  for (int index : graph.order()) {
    const StepProgress& at = progress[static_cast<std::size_t>(index)];
    if (at.expected < 2 || at.done + at.failed >= at.expected || (at.running == 0 && at.done == 0)) continue;
    shown.push_back(index);
    width = std::max(width, graph.step(index).name.size());
  }
  std::vector<std::string> lines;
  for (int index : shown) {
    if (lines.size() + 1 == most && shown.size() > most) {
      lines.push_back(fmt::format("and {} more steps", shown.size() - lines.size()));
      break;
    }
    lines.push_back(line_of(graph.step(index).name, width, progress[static_cast<std::size_t>(index)], now, columns));
  }
  return lines;
}

std::vector<std::string> progress_report(const graph::Graph& graph, const std::vector<StepProgress>& progress) {
  std::vector<std::string> active;
  std::vector<std::string> waiting;
  std::size_t queued = 0;
  std::size_t running = 0;
  for (int index : graph.order()) {
    const StepProgress& at = progress[static_cast<std::size_t>(index)];
    const std::string& name = graph.step(index).name;
    if (at.running > 0) active.push_back(fmt::format("{} ({} running; {} done)", name, at.running, at.done));
    if (!at.started) waiting.push_back(name);
    queued += at.expected - std::min(at.expected, at.running + at.done + at.failed);
    running += at.running;
  }
  auto tasks = [](std::size_t n) {
    return n == 0 ? "No tasks are" : n == 1 ? "1 task is" : fmt::format("{} tasks are", n);
  };
  std::vector<std::string> lines{
      fmt::format("{} running{}{}.", tasks(running), active.empty() ? "" : ": ", base::join(active, ", ")),
      fmt::format("{} waiting in the queue.", tasks(queued))};
  if (waiting.size() == 1) lines.push_back(fmt::format("{} step has not started", waiting[0]));
  if (waiting.size() > 1)
    lines.push_back(fmt::format("{} steps have not started: {}.", waiting.size(), base::join(waiting, ", ")));
  return lines;
}

std::string summary_of(const RunTotals& totals, std::int64_t microseconds) {
  std::string text = fmt::format("Tasks: {} finished", base::grouped(totals.finished));
  for (const auto& [count, word] : {std::pair(totals.cloned, "cloned"),
                                    {totals.retried, "retried"},
                                    {totals.caught, "caught"},
                                    {totals.failed, "failed"},
                                    {totals.stopped, "stopped"}})
    if (count > 0) text += fmt::format(", {} {}", base::grouped(count), word);
  text += fmt::format(". Wall time {}, CPU time {}", base::human_seconds(static_cast<double>(microseconds) * 1e-6),
                      base::human_seconds(totals.cpu_seconds));
  if (totals.peak_memory > 0) text += ", peak memory of a task " + base::human_bytes(totals.peak_memory);
  return text + ".";
}

std::string outlook(const graph::Graph& graph, const std::vector<StepProgress>& progress,
                    const std::vector<std::size_t>& waiting) {
  std::vector<std::string> cloned;
  std::vector<std::string> next;
  std::size_t clones = 0;
  auto counted = [&](std::size_t step, std::size_t tasks) {
    const std::string& name = graph.steps()[step].name;
    return tasks == 1 ? name : fmt::format("{} ({} tasks)", name, tasks);
  };
  for (int index : graph.order()) {
    const auto step = static_cast<std::size_t>(index);
    clones += progress[step].done;
    if (progress[step].done > 0) cloned.push_back(counted(step, progress[step].done));
    if (waiting[step] > 0) next.push_back(counted(step, waiting[step]));
  }
  const std::string first = clones == 0 ? "No task was cloned: none had finished."
                                        : fmt::format("{} task{} cloned: {}.", clones, clones == 1 ? " was" : "s were",
                                                      base::join(cloned, ", "));
  return fmt::format(
      "{} {}", first,
      next.empty() ? "Nothing is left to execute." : fmt::format("To execute next: {}.", base::join(next, ", ")));
}

}  // namespace metaflow::runtime
