#include "cli/job_commands.h"

#include <map>
#include <memory>
#include <utility>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/paths.h"
#include "compute/remote/job_identity.h"
#include "compute/remote/run_jobs.h"
#include "runtime/lease.h"
#include "store/local/latest_run.h"

namespace metaflow::cli {

namespace {

using base::Json;
using compute::ChosenRuns;
using compute::Platform;
using compute::RunJob;
using compute::RunJobs;

struct JobOptions {
  std::string run;
  std::string user;
  bool my_runs = false;
  bool json = false;
};

ChosenRuns select_runs(Context& context, const JobOptions& options) {
  if (options.my_runs && (!options.user.empty() || !options.run.empty()))
    throw Error(ErrorCode::invalid_command,
                "--my-runs cannot be combined with --user or --run-id: they are mutually exclusive");
  const std::string run = options.run.empty() ? options.run : run_of_name(context, options.run);
  ChosenRuns which{.flow = context.flow.name, .run = run, .user = options.user};
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

std::string as_text(const std::vector<RunJob>& jobs, const compute::RunJobsWords& words) {
  std::string instance = words.instance;
  if (!instance.empty()) instance[0] = base::upper(instance)[0];
  const std::string no_status = words.instance.empty() ? "Unknown" : fmt::format("No {} yet", words.instance);
  std::string text;
  for (const RunJob& job : jobs) {
    const std::string line =
        fmt::format("Run: {} Step: {} Task: {} Attempt: {} {}: {} {} At: {} Status: {}{}", job.run, job.step, job.task,
                    job.attempt, job.instance.empty() ? "Job" : instance, job.instance.empty() ? job.job : job.instance,
                    words.beginning, job.since, job.status.empty() ? no_status : job.status,
                    job.reason.empty() ? "" : fmt::format(" ({})", job.reason));
    text += base::visible(line) + "\n";
  }
  return text;
}

std::string as_json(const std::string& flow, const std::vector<RunJob>& jobs, const compute::RunJobsWords& words) {
  auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json list = Json::list();
  for (const RunJob& job : jobs) {
    const Json attempt = Json::parse(job.attempt).value_or(Json());
    Json one{{"run", or_null(job.run)},
             {"step", or_null(job.step)},
             {"task", or_null(job.task)},
             {"attempt", attempt.is_integer() ? attempt : Json()},
             {"user", or_null(job.user)},
             {"job", job.job},
             {base::lower(words.beginning), or_null(job.since)},
             {"status", or_null(job.status)},
             {"reason", or_null(job.reason)}};
    if (!words.instance.empty()) one.add(words.instance, or_null(job.instance));
    list.push_back(std::move(one));
  }
  const Json all{{"flow", flow}, {"jobs", list}};
  return all.dump() + "\n";
}

std::unique_ptr<RunJobs> jobs_of(Context& context, const Platform& platform, const compute::RunSite& site,
                                 const std::string& run) {
  return platform.run_jobs(site, context.store(),
                           compute::places_of(context.store(), run, platform.name(), platform.job_places()));
}

int list(Context& context, const Platform& platform, const JobOptions& options) {
  const ChosenRuns which = select_runs(context, options);
  const compute::RunSite site = context.run_site();
  const auto jobs = jobs_of(context, platform, site, which.run);
  const std::vector<RunJob> unfinished = jobs->unfinished(which);
  const compute::RunJobsWords words = jobs->words();
  if (options.json) {
    Context::print(as_json(context.flow.name, unfinished, words));
  } else if (unfinished.empty()) {
    Context::echo_always(fmt::format("No active {} found.\n", words.things));
  } else {
    Context::print(as_text(unfinished, words));
  }
  return 0;
}

int kill(Context& context, const Platform& platform, const JobOptions& options) {
  const ChosenRuns which = select_runs(context, options);
  const compute::RunSite site = context.run_site();
  const auto jobs = jobs_of(context, platform, site, which.run);
  const std::vector<RunJob> unfinished = jobs->unfinished(which);
  if (unfinished.empty()) {
    Context::echo_always(fmt::format("No active {} found.\n", jobs->words().things));
    return 0;
  }
  jobs->end(unfinished, fmt::format("Killed by {} with {} kill", context.user(), platform.name()));
  std::map<std::string, std::string> runs;  // by key
  for (const RunJob& job : unfinished) {
    Context::print(fmt::format("Killed {}/{}/{} (job {})\n", job.run, job.step, job.task, job.job));
    runs.emplace(job.run_key, job.run);
  }
  // A live scheduler may submit more jobs. It deletes the resources of the run itself.
  for (const auto& [key, run] : runs) {
    if (is_name(store::NameKind::run, run) &&
        !runtime::lease_holder({context.store().storage(), context.clock}, {context.flow.name, run}))
      jobs->end_run(key);
  }
  return 0;
}

}  // namespace

void settle_jobs(Context& context, const std::string& run) {
  const compute::RunSite site = context.run_site();
  const std::string key = compute::run_key(context.flow.name, run, context.store().storage().root());
  for (const Platform* platform : context.platforms.all()) {
    if (platform->job_places().empty()) continue;
    if (compute::places_of(context.store(), run, platform->name(), platform->job_places()).empty()) continue;
    const auto jobs = jobs_of(context, *platform, site, run);
    compute::settle(*jobs, context.clock, {.flow = context.flow.name, .run = run}, key, [&](std::size_t left) {
      Context::echo_always(
          fmt::format("{} task{} of run {} {} still running {}. Waiting, to reuse their results. To kill them: "
                      "{} {} kill --run-id {}\n",
                      left, left == 1 ? "" : "s", run, left == 1 ? "is" : "are", jobs->words().where, context.command(),
                      platform->name(), run));
    });
  }
}

Command job_commands(Context& context, const Platform& platform) {
  auto options = std::make_shared<JobOptions>();
  const std::vector<Option> run_options{
      {.name = "--my-runs", .help = "All my unfinished tasks.", .set = store_flag(options->my_runs)},
      {.name = "--user",
       .metavar = "TEXT",
       .help = "All unfinished tasks of this user.",
       .set = store_text(options->user)},
      {.name = "--run-id",
       .metavar = "TEXT",
       .kind = ValueKind::run,
       .help = "The unfinished tasks of this run. Default: the last run that was executed here.",
       .set = store_text(options->run)}};
  std::vector<Option> list_options = run_options;
  list_options.push_back({.name = "--json", .help = "Print the list as JSON.", .set = store_flag(options->json)});
  Command group{.name = platform.name(), .help = fmt::format("List or kill the {} jobs of runs.", platform.title())};
  group.commands = {{.name = "list",
                     .help = fmt::format("List the unfinished {} tasks of this flow.", platform.title()),
                     .options = std::move(list_options),
                     .run = [&context, &platform, options] { return list(context, platform, *options); }},
                    {.name = "kill",
                     .help = fmt::format("Terminate the unfinished {} tasks of this flow.", platform.title()),
                     .options = run_options,
                     .run = [&context, &platform, options] { return kill(context, platform, *options); }}};
  return group;
}

}  // namespace metaflow::cli
