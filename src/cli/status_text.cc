#include "cli/status_text.h"

#include <algorithm>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::cli {

using runtime::clock_time;
using runtime::StepSummary;
using store::AttemptHistory;

namespace {

constexpr std::size_t kShown = 5;  // tasks of a list

std::string or_dash(std::uint64_t number) { return number == 0 ? "-" : base::grouped(number); }

double in_seconds(std::int64_t microseconds) { return static_cast<double>(microseconds) * 1e-6; }

/// Columns that are empty in most runs appear only if one of the steps has a number there.
std::string table(const RunView& run, std::int64_t now) {
  const bool runs = run.state() == "running";
  const auto& steps = run.steps();
  const bool caught = std::any_of(steps.begin(), steps.end(), [](const StepSummary& s) { return s.caught > 0; });
  const bool stopped = std::any_of(steps.begin(), steps.end(), [](const StepSummary& s) { return s.stopped > 0; });
  std::vector<std::vector<std::string>> rows{{"step", "tasks", "done", "cloned", "running", "failed", "retried"}};
  if (caught) rows[0].emplace_back("caught");
  if (stopped) rows[0].emplace_back("stopped");
  for (const char* name : {"peak memory", "cpu", "time left"}) rows[0].emplace_back(name);
  for (const StepSummary& step : steps) {
    const bool started = step.expected > 0 || step.began > 0 || step.cloned > 0;
    const std::int64_t left = step.time_left(now);
    std::vector<std::string> row{step.step,
                                 or_dash(step.expected),
                                 or_dash(step.done),
                                 or_dash(step.cloned),
                                 runs ? or_dash(step.running) : "-",
                                 or_dash(step.failed),
                                 or_dash(step.retried)};
    if (caught) row.push_back(or_dash(step.caught));
    if (stopped) row.push_back(or_dash(step.stopped));
    row.push_back(step.peak_memory == 0 ? "-" : base::human_bytes(step.peak_memory));
    row.push_back(step.cpu_seconds == 0 ? "-" : base::human_seconds(step.cpu_seconds));
    row.push_back(started && runs && left > 0 ? clock_time(left) : "");
    rows.push_back(std::move(row));
  }
  std::vector<std::size_t> width(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line = fmt::format("  {:<{}}", row[0], width[0]);
    for (std::size_t i = 1; i < row.size(); ++i) line += fmt::format("  {:>{}}", row[i], width[i]);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string and_more(std::size_t all) { return all > kShown ? fmt::format("  and {} more\n", all - kShown) : ""; }

bool is_on_another_host(const runtime::LeaseHolder& scheduler) {
  return runtime::process_table().state_of(scheduler) == base::ProcessState::unknown;
}

/// "17/work/4 (south)"
std::string shown_task(const AttemptHistory& attempt) {
  return attempt.label.empty() ? attempt.task.path()
                               : fmt::format("{} ({})", attempt.task.path(), base::visible(attempt.label));
}

/// The first of some attempts of a run.
std::vector<const AttemptHistory*> first_of(const RunView& run, const std::set<std::size_t>& attempts,
                                            std::size_t most) {
  std::vector<const AttemptHistory*> first;
  for (const std::size_t attempt : attempts) {
    if (first.size() == most) break;
    first.push_back(&run.history().attempts[attempt]);
  }
  return first;
}

base::Json described(const AttemptHistory& attempt) {
  base::Json json{{"step", attempt.task.step}, {"task", attempt.task.path()}, {"attempt", attempt.attempt}};
  if (attempt.index) json.set("index", *attempt.index);
  if (!attempt.label.empty()) json.set("label", attempt.label);
  json.set("where", attempt.where);
  return json;
}

}  // namespace

std::string damage_text(const RunView& run) {
  const std::uint64_t lines = run.damaged_lines();
  return fmt::format("The journal is damaged ({} {}): numbers and states here may be wrong. The results are not.",
                     base::grouped(lines), lines == 1 ? "line" : "lines");
}

std::string status_line(const Context& context, const RunView& run) {
  StepSummary all;
  for (const StepSummary& step : run.steps()) {
    all.expected += step.expected;
    all.done += step.done + step.cloned;
    all.running += step.running;
    all.failed += step.failed;
  }
  std::string text = fmt::format("{}/{}: {}, {} of {} tasks done", context.flow.name, run.id(), run.state(),
                                 base::grouped(all.done), base::grouped(all.expected));
  if (run.state() == "running") text += fmt::format(", {} running", base::grouped(all.running));
  if (all.failed > 0) text += fmt::format(", {} failed", base::grouped(all.failed));
  return text;
}

std::string status_text(Context& context, const RunView& run, std::int64_t now) {
  const store::RunHistory& history = run.history();
  const std::string state = run.state();
  std::string text = fmt::format("{}/{}: {}, {}{}", context.flow.name, run.id(), state,
                                 state == "running" ? "for " : "after ", clock_time(run.duration(now)));
  text += fmt::format(" (started {} on {}, pid {}", base::local_time(history.began).substr(0, 19),
                      base::visible(history.begin.host), history.begin.pid);
  if (!history.begin.origin.empty()) text += ", resumes " + history.begin.origin;
  text += ")\n";
  if (state == "running" && is_on_another_host(*run.scheduler())) {
    text += fmt::format("Its scheduler is on another host. Last renewal of its lease: {} (by its clock).\n",
                        base::local_time(run.scheduler()->renewed).substr(0, 19));
  }
  if (run.damaged_lines() > 0) text += damage_text(run) + "\n";
  text += table(run, now);

  if (state == "running") {
    if (!history.running.empty()) text += "Running longest:\n";
    for (const AttemptHistory* attempt : first_of(run, history.running, kShown)) {
      text += fmt::format("  {} for {} ({})\n", shown_task(*attempt), clock_time(now - attempt->began),
                          base::visible(attempt->where));
    }
    text += and_more(history.running.size());
  }
  const auto failures = first_of(run, history.failed, kShown);
  if (!failures.empty()) text += "Failed:\n";
  for (const AttemptHistory* failure : failures)
    text += fmt::format("  {}: {}\n", shown_task(*failure), base::visible(failure->cause));
  text += and_more(history.failed.size());
  if (!failures.empty()) {
    text += fmt::format("Output of the first: {0} logs {1}   To execute it again: {0} debug {1}\n", context.command(),
                        failures[0]->task.path());
  }
  if (state != "running" && state != "done")
    text += fmt::format("To continue: {} resume --origin-run-id {}\n", context.command(), run.id());
  return text;
}

std::string status_json(const Context& context, const RunView& run, std::int64_t now) {
  const store::RunHistory& history = run.history();
  const bool runs = run.state() == "running";
  base::Json steps = base::Json::list();
  for (const StepSummary& step : run.steps()) {
    const std::int64_t left = runs ? step.time_left(now) : -1;
    steps.push_back({{"step", step.step},
                     {"tasks", step.expected},
                     {"done", step.done},
                     {"cloned", step.cloned},
                     {"running", runs ? step.running : 0},
                     {"failed", step.failed},
                     {"stopped", step.stopped},
                     {"caught", step.caught},
                     {"retried", step.retried},
                     {"attempts_failed", step.attempts_failed},
                     {"peak_memory", step.peak_memory},
                     {"cpu_seconds", step.cpu_seconds},
                     {"seconds_left", left < 0 ? base::Json() : base::Json(in_seconds(left))}});
  }
  base::Json running = base::Json::list();
  if (runs) {
    for (const AttemptHistory* attempt : first_of(run, history.running, SIZE_MAX)) {
      base::Json task = described(*attempt);
      task.set("began", in_seconds(attempt->began));
      task.set("seconds", in_seconds(std::max<std::int64_t>(now - attempt->began, 0)));
      running.push_back(std::move(task));
    }
  }
  base::Json failed = base::Json::list();
  for (const AttemptHistory* attempt : first_of(run, history.failed, SIZE_MAX)) {
    base::Json task = described(*attempt);
    task.set("cause", attempt->cause);
    failed.push_back(std::move(task));
  }
  const base::Json all{{"version", kStatusVersion},
                       {"flow", context.flow.name},
                       {"run", run.id()},
                       {"state", run.state()},
                       {"why", history.why},
                       {"origin", history.begin.origin},
                       {"host", history.begin.host},
                       {"pid", history.begin.pid},
                       {"max_workers", history.begin.max_workers},
                       {"began", in_seconds(history.began)},
                       {"ended", history.ended == 0 ? base::Json() : base::Json(in_seconds(history.ended))},
                       {"seconds", in_seconds(run.duration(now))},
                       {"steps", steps},
                       {"running", running},
                       {"failures", failed},
                       {"damaged_lines", run.damaged_lines()}};
  return all.dump() + "\n";
}

}  // namespace metaflow::cli
