#include "cli/job_commands.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/text.h"

namespace metaflow::cli {

namespace {

struct JobOptions {
  std::string run;
  std::string user;
  bool my_runs = false;
};

ChosenRuns chosen(Context& context, const JobOptions& options) {
  if (options.my_runs && (!options.user.empty() || !options.run.empty()))
    throw Error(ErrorCode::invalid_command, "--my-runs excludes --user and --run-id: they are mutually exclusive");
  ChosenRuns which{.flow = context.flow.name, .run = options.run, .user = options.user};
  if (options.my_runs) which.user = context.user();
  if (which.run.empty() && which.user.empty()) {
    const auto latest = base::read_file(fmt::format("{}/{}/latest_run", context.local_root(), context.flow.name));
    if (!latest)
      throw Error(ErrorCode::invalid_command, "A previous run id was not found. Specify --run-id.",
                  context.root_hint());
    which.run = base::trim(latest->text());
  }
  return which;
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
  Command group{.name = commands.name, .help = fmt::format("Commands related to {}.", commands.platform)};
  group.commands = {
      {.name = "list",
       .help = fmt::format("List unfinished {} tasks of this flow.", commands.platform),
       .options = which,
       .run = [&context, options, list = std::move(commands.list)] { return list(chosen(context, *options)); }},
      {.name = "kill",
       .help = fmt::format("Terminate unfinished {} tasks of this flow.", commands.platform),
       .options = which,
       .run = [&context, options, kill = std::move(commands.kill)] { return kill(chosen(context, *options)); }}};
  return group;
}

}  // namespace metaflow::cli
