// status: the progress of a run, or how it ended.

#include <algorithm>
#include <memory>
#include <unordered_map>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/history.h"
#include "cli/paths.h"
#include "store/local/latest_run.h"

namespace metaflow::cli {

using runtime::clock_time;
using runtime::StepSummary;
using store::AttemptEnd;
using store::AttemptHistory;

std::string latest_run(Context& context) {
  if (auto run = store::latest_run(context.local_root(), context.flow.name)) return std::move(*run);
  throw Error(ErrorCode::not_found, fmt::format("Flow {} has no run in {}", context.flow.name, context.local_root()));
}

RunView read_run(Context& context, const std::string& wanted) {
  RunView run;
  run.id = wanted.empty() ? latest_run(context) : run_of_name(context, wanted);
  // With the metadata service, a run is known only by its journal, if it was executed on this host.
  auto is_known = [&] {
    if (!context.uses_service()) return context.metadata().run(context.flow.name, run.id).has_value();
    return base::exists(store::journal_path(context.local_root(), context.flow.name, run.id));
  };
  if (!is_name(store::NameKind::run, run.id) || !is_known())
    throw Error(ErrorCode::not_found,
                fmt::format("No run {}/{} found in {}", context.flow.name, run.id, context.local_root()));
  auto history = store::read_journal(store::journal_path(context.local_root(), context.flow.name, run.id), run.id);
  if (!history) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("Run {}/{} has no journal, which status and timeline require", context.flow.name, run.id),
                "The run was executed by Python or by an older version of this library. The clients can read it.");
  }
  if (history->began == 0) {
    throw Error(ErrorCode::data_missing,
                fmt::format("The journal of run {}/{} has no first entry. A power loss may have cut it off",
                            context.flow.name, run.id),
                fmt::format("The clients can read the run. To continue it: {} resume --origin-run-id {}",
                            context.command(), run.id));
  }
  run.history = std::move(*history);
  const graph::Graph graph = context.make_graph();
  std::vector<std::string> order;
  for (int step : graph.order()) order.push_back(graph.step(step).name);
  run.steps = runtime::summarise(run.history, order);
  run.scheduler = runtime::lease_holder({context.store().storage(), context.clock}, {context.flow.name, run.id});
  if (run.scheduler && run.scheduler->run != run.id) run.scheduler.reset();  // it continues this run as another one
  return run;
}

std::string RunView::state() const {
  switch (history.how) {
    case store::RunEnd::done: return "done";
    case store::RunEnd::failed: return "failed";
    case store::RunEnd::interrupted: return "interrupted";
    case store::RunEnd::none: break;
  }
  return scheduler ? "running" : "scheduler died";
}

std::int64_t RunView::duration(std::int64_t now) const {
  if (history.ended > 0) return history.ended - history.began;
  if (scheduler) return now - history.began;
  std::int64_t last = history.began;
  for (const AttemptHistory& attempt : history.attempts) last = std::max({last, attempt.began, attempt.ended});
  return last - history.began;
}

std::vector<const AttemptHistory*> RunView::failures() const {
  std::unordered_map<std::string, const AttemptHistory*> last;
  for (const AttemptHistory& attempt : history.attempts) last[attempt.task.path()] = &attempt;
  std::vector<const AttemptHistory*> failed;
  for (const AttemptHistory& attempt : history.attempts) {
    if (attempt.how == AttemptEnd::failed && last[attempt.task.path()] == &attempt) failed.push_back(&attempt);
  }
  return failed;
}

namespace {

struct StatusOptions {
  std::string run;
  bool json = false;
};

constexpr std::size_t kShown = 5;  // tasks of a list

std::string or_dash(std::uint64_t number) { return number == 0 ? "-" : base::grouped(number); }

std::string table(const RunView& run, std::int64_t now) {
  std::vector<std::vector<std::string>> rows{
      {"step", "tasks", "done", "cloned", "running", "failed", "retried", "peak memory", "cpu", "time left"}};
  const bool runs = run.state() == "running";
  for (const StepSummary& step : run.steps) {
    if (step.expected == 0 && step.began == 0 && step.cloned == 0) {
      rows.push_back({step.step, "-", "-", "-", "-", "-", "-", "-", "-", ""});
      continue;
    }
    const std::int64_t left = step.time_left(now);
    rows.push_back({step.step, or_dash(step.expected), or_dash(step.done), or_dash(step.cloned),
                    runs ? or_dash(step.running) : "-", or_dash(step.failed),
                    or_dash(step.attempts_failed - std::min(step.attempts_failed, step.failed)),
                    step.peak_memory == 0 ? "-" : base::human_bytes(step.peak_memory),
                    step.cpu_seconds == 0 ? "-" : base::human_seconds(step.cpu_seconds),
                    runs && left > 0 ? clock_time(left) : ""});
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

std::string as_text(Context& context, const RunView& run) {
  const std::int64_t now = context.clock.wall_microseconds();
  const auto& begin = run.history.begin;
  std::string text = fmt::format("{}/{}: {}, {}{}", context.flow.name, run.id, run.state(),
                                 run.state() == "running" ? "for " : "after ", clock_time(run.duration(now)));
  text += fmt::format(" (started {} on {}, pid {}", base::local_time(run.history.began).substr(0, 19),
                      base::visible(begin.host), begin.pid);
  if (!begin.origin.empty()) text += ", resumes " + begin.origin;
  text += ")\n";
  if (run.state() == "running" && is_on_another_host(*run.scheduler)) {
    text += fmt::format("Its scheduler is on another host. Last renewal of its lease: {} (by its clock).\n",
                        base::local_time(run.scheduler->renewed).substr(0, 19));
  }
  text += table(run, now);

  if (run.state() == "running") {
    std::vector<const AttemptHistory*> running;
    for (const AttemptHistory& attempt : run.history.attempts) {
      if (attempt.how == AttemptEnd::running) running.push_back(&attempt);
    }
    if (!running.empty()) text += "Running longest:\n";
    for (std::size_t i = 0; i < std::min(running.size(), kShown); ++i) {
      const AttemptHistory& attempt = *running[i];
      text += fmt::format("  {} for {} ({})\n", attempt.task.path(), clock_time(now - attempt.began),
                          base::visible(attempt.where));
    }
    text += and_more(running.size());
  }
  const auto failures = run.failures();
  if (!failures.empty()) text += "Failed:\n";
  for (std::size_t i = 0; i < std::min(failures.size(), kShown); ++i)
    text += fmt::format("  {}: {}\n", failures[i]->task.path(), base::visible(failures[i]->cause));
  text += and_more(failures.size());
  if (!failures.empty()) {
    text += fmt::format("Output of the first: {0} logs {1}   To execute it again: {0} debug {1}\n", context.command(),
                        failures[0]->task.path());
  }
  const std::string state = run.state();
  if (state != "running" && state != "done")
    text += fmt::format("To continue: {} resume --origin-run-id {}\n", context.command(), run.id);
  return text;
}

std::string as_json(Context& context, const RunView& run) {
  const std::int64_t now = context.clock.wall_microseconds();
  base::Json steps = base::Json::list();
  for (const StepSummary& step : run.steps) {
    const std::int64_t left = step.time_left(now);
    steps.push_back({{"step", step.step},
                     {"tasks", step.expected},
                     {"done", step.done},
                     {"cloned", step.cloned},
                     {"running", step.running},
                     {"failed", step.failed},
                     {"attempts_failed", step.attempts_failed},
                     {"peak_memory", step.peak_memory},
                     {"cpu_seconds", step.cpu_seconds},
                     {"seconds_left", left < 0 ? base::Json() : base::Json(static_cast<double>(left) * 1e-6)}});
  }
  base::Json failed = base::Json::list();
  for (const AttemptHistory* attempt : run.failures())
    failed.push_back({{"task", attempt->task.path()}, {"attempt", attempt->attempt}, {"cause", attempt->cause}});
  const base::Json all{{"flow", context.flow.name},
                       {"run", run.id},
                       {"state", run.state()},
                       {"why", run.history.why},
                       {"origin", run.history.begin.origin},
                       {"began", static_cast<double>(run.history.began) * 1e-6},
                       {"seconds", static_cast<double>(run.duration(now)) * 1e-6},
                       {"steps", steps},
                       {"failures", failed}};
  return all.dump() + "\n";
}

}  // namespace

Command status_command(Context& context) {
  auto options = std::make_shared<StatusOptions>();
  return {.name = "status",
          .help = "Show the progress of a run, or how it ended. Default: the newest run of this flow.",
          .options = {{.name = "--json", .help = "Print the status as JSON.", .set = store_flag(options->json)}},
          .arguments = {{.name = "RUN_ID", .kind = ValueKind::run, .required = false, .set = store_text(options->run)}},
          .examples = {{"latest", "Show the last run."}},
          .run = [&context, options] {
            const RunView run = read_run(context, options->run);
            Context::print(options->json ? as_json(context, run) : as_text(context, run));
            return 0;
          }};
}

}  // namespace metaflow::cli
