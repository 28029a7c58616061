#include "cli/job_commands.h"

#include <memory>
#include <utility>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "store/local/latest_run.h"

namespace metaflow::cli {

namespace {

using base::Json;

struct JobOptions {
  std::string run;
  std::string user;
  bool my_runs = false;
  bool json = false;
};

ChosenRuns chosen(Context& context, const JobOptions& options) {
  if (options.my_runs && (!options.user.empty() || !options.run.empty()))
    throw Error(ErrorCode::invalid_command, "--my-runs excludes --user and --run-id: they are mutually exclusive");
  ChosenRuns which{.flow = context.flow.name, .run = options.run, .user = options.user};
  if (options.my_runs) which.user = context.user();
  if (!which.run.empty() && !is_name(store::NameKind::run, which.run))
    throw Error(ErrorCode::invalid_command, not_a_name(store::NameKind::run, which.run));
  if (which.run.empty() && which.user.empty()) {
    const auto latest = store::latest_run(context.local_root(), context.flow.name);
    if (!latest)
      throw Error(ErrorCode::invalid_command, "A previous run id was not found. Specify --run-id.",
                  context.root_hint());
    which.run = *latest;
  }
  return which;
}

std::string as_text(const std::vector<ListedJob>& jobs, const std::string& beginning) {
  std::string text;
  for (const ListedJob& job : jobs) {
    text += fmt::format("Run: {} Step: {} Task: {} Attempt: {} {}: {} {} At: {} Status: {}{}\n", job.run, job.step,
                        job.task, job.attempt, job.pod.empty() ? "Job" : "Pod", job.pod.empty() ? job.job : job.pod,
                        beginning, job.since, job.status.empty() ? "No pod yet" : job.status,
                        job.reason.empty() ? "" : fmt::format(" ({})", job.reason));
  }
  return text;
}

std::string as_json(const std::string& flow, const std::vector<ListedJob>& jobs, const std::string& beginning) {
  auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json list = Json::list();
  for (const ListedJob& job : jobs) {
    const Json attempt = Json::parse(job.attempt).value_or(Json());
    list.push_back({{"run", or_null(job.run)},
                    {"step", or_null(job.step)},
                    {"task", or_null(job.task)},
                    {"attempt", attempt.is_integer() ? attempt : Json()},
                    {"user", or_null(job.user)},
                    {"job", job.job},
                    {"pod", or_null(job.pod)},
                    {base::lower(beginning), or_null(job.since)},
                    {"status", or_null(job.status)},
                    {"reason", or_null(job.reason)}});
  }
  const Json all{{"flow", flow}, {"jobs", list}};
  return all.dump() + "\n";
}

}  // namespace

Command job_commands(Context& context, JobCommands commands) {
  auto options = std::make_shared<JobOptions>();
  const std::vector<Option> which{
      {.name = "--my-runs", .help = "All my unfinished tasks.", .set = store_flag(options->my_runs)},
      {.name = "--user",
       .metavar = "TEXT",
       .help = "All unfinished tasks of this user.",
       .set = store_text(options->user)},
      {.name = "--run-id",
       .metavar = "TEXT",
       .help = "Unfinished tasks of this run. Default: the last run executed here.",
       .set = store_text(options->run)}};
  std::vector<Option> how = which;
  how.push_back({.name = "--json", .help = "Print the list as JSON.", .set = store_flag(options->json)});
  const std::string none = fmt::format("No active {} found.\n", commands.things);
  auto list = [&context, options, none, beginning = commands.beginning, list = std::move(commands.list)] {
    const std::vector<ListedJob> jobs = list(chosen(context, *options));
    if (options->json) {
      base::write_all(1, as_json(context.flow.name, jobs, beginning));
    } else if (jobs.empty()) {
      Context::echo_always(none);
    } else {
      base::write_all(1, as_text(jobs, beginning));
    }
    return 0;
  };
  auto kill = [&context, options, none, kill = std::move(commands.kill)] {
    if (kill(chosen(context, *options)) == 0) Context::echo_always(none);
    return 0;
  };
  Command group{.name = commands.name, .help = fmt::format("Commands related to {}.", commands.platform)};
  group.commands = {{.name = "list",
                     .help = fmt::format("List unfinished {} tasks of this flow.", commands.platform),
                     .options = std::move(how),
                     .run = std::move(list)},
                    {.name = "kill",
                     .help = fmt::format("Terminate unfinished {} tasks of this flow.", commands.platform),
                     .options = which,
                     .run = std::move(kill)}};
  return group;
}

}  // namespace metaflow::cli
