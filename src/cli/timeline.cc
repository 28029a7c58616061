// timeline: shows a run as a page for a browser.

#include <unistd.h>

#include <memory>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/history.h"
#include "cli/status_text.h"
#include "cli/timeline_page.h"

namespace metaflow::cli {

namespace {

struct TimelineOptions {
  std::string run;
  std::string output;
};

/// The data of the page. Times are in milliseconds since the run began. An attempt is a list, not an object, to save
/// space: step, task, attempt, begin, end (-1: running), result, peak memory, cpu seconds, cause, label.
base::Json data_of(Context& context, const RunView& run) {
  const std::int64_t now = context.clock.wall_microseconds();
  const graph::Graph graph = context.make_graph();
  base::Json steps = base::Json::list();
  for (const runtime::StepSummary& step : run.steps()) {
    base::Json next = base::Json::list();
    std::string type = "linear";
    if (const int index = graph.find(step.step); index >= 0) {
      type = graph.type_of(index);
      for (int target : graph.step(index).next) next.push_back(graph.step(target).name);
    }
    steps.push_back({{"name", step.step},
                     {"type", type},
                     {"next", next},
                     {"tasks", step.expected},
                     {"done", step.done},
                     {"cloned", step.cloned},
                     {"running", run.scheduler() ? step.running : 0},
                     {"failed", step.failed},
                     {"memory", step.peak_memory},
                     {"cpu", step.cpu_seconds}});
  }
  auto since = [&](std::int64_t time) { return (time - run.history().began) / 1000; };
  base::Json attempts = base::Json::list();
  for (const store::AttemptHistory& attempt : run.history().attempts) {
    const bool running = attempt.how == store::AttemptEnd::running;
    attempts.push_back({attempt.task.step, attempt.task.task, attempt.attempt, since(attempt.began),
                        running ? -1 : since(attempt.ended), std::string(store::name_of(attempt.how)),
                        attempt.usage.peak_memory, attempt.usage.cpu_seconds, attempt.cause, attempt.label});
  }
  return {{"flow", context.flow.name},
          {"run", run.id()},
          {"state", run.state()},
          {"why", run.history().why},
          {"damage", run.damaged_lines() > 0 ? damage_text(run) : ""},
          {"origin", run.history().begin.origin},
          {"host", run.history().begin.host},
          {"began", run.history().began / 1000},
          {"duration", run.duration(now) / 1000},
          {"steps", steps},
          {"attempts", attempts}};
}

int timeline(Context& context, const TimelineOptions& options) {
  const RunView run(context, options.run);
  if (options.output.empty() && ::isatty(STDOUT_FILENO) == 1) {
    throw Error(ErrorCode::invalid_command, "The page is HTML, and standard output is a terminal",
                fmt::format("Write it to a file: {} timeline {} -o run.html", context.command(), run.id()));
  }
  const std::string page = timeline_page(data_of(context, run).dump());
  if (options.output.empty() || options.output == "-") {
    Context::print(page);
    return 0;
  }
  base::write_output_file(options.output, page);
  context.echo(fmt::format("Timeline written to {}. Open it in a browser.\n", options.output));
  return 0;
}

}  // namespace

Command timeline_command(Context& context) {
  auto options = std::make_shared<TimelineOptions>();
  return {.name = "timeline",
          .help =
              "Write an HTML page about a run: its graph, the timeline of its tasks, failed and slow tasks. Default: "
              "the newest run of this flow.",
          .options = {{.name = "--output",
                       .short_name = "-o",
                       .metavar = "FILE",
                       .kind = ValueKind::file,
                       .help = "File to write. Default: standard output, unless it is a terminal.",
                       .set = store_text(options->output)}},
          .arguments = {{.name = "RUN_ID", .kind = ValueKind::run, .required = false, .set = store_text(options->run)}},
          .examples = {{"latest --output run.html", "Write the page of the last run; open it in a browser."}},
          .run = [&context, options] { return timeline(context, *options); }};
}

}  // namespace metaflow::cli
