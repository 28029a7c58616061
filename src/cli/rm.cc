// rm: removes runs.

#include <algorithm>
#include <memory>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/paths.h"
#include "cli/removal.h"
#include "cli/run_list.h"
#include "store/local/local_runs.h"

namespace metaflow::cli {

namespace {

struct RmOptions {
  RemovalOptions removal;
  bool no_gc = false;
  std::vector<std::string> runs;
};

std::string existing_run(Context& context, const std::string& name) {
  std::string run = run_of_name(context, name);
  const bool exists =
      is_name(store::NameKind::run, run) &&
      (context.store().has_run(run) || store::is_local_run(context.local_root(), context.flow.name, run));
  if (exists) return run;
  throw context.no_run(run, context.datastore_root());
}

/// Throws Error{invalid_command} if a remaining run has resumed one of these.
void refuse_origins(Context& context, Removal& removal, const std::vector<std::string>& runs) {
  const auto kept = removal.keep_origins(known_run_ids(context));
  if (!kept.empty()) {
    std::vector<std::string> both = runs;
    for (const Removal::Kept& one : kept) {
      if (std::find(both.begin(), both.end(), one.resumed_by) == both.end()) both.push_back(one.resumed_by);
    }
    throw Error(ErrorCode::invalid_command,
                fmt::format("Cannot remove run {0}/{1}: run {2} resumed it, and has clones of its tasks",
                            context.flow.name, kept.front().run, kept.front().resumed_by),
                fmt::format("To remove both: {} rm {}", context.command(), base::join(both, " ")));
  }
}

int remove(Context& context, const RmOptions& options) {
  std::vector<std::string> runs;
  for (const std::string& name : options.runs) {
    std::string run = existing_run(context, name);
    if (std::find(runs.begin(), runs.end(), run) == runs.end()) runs.push_back(std::move(run));
  }
  Removal removal(context, options.removal);
  for (const std::string& run : runs) {
    if (const std::string why = removal.add(run); !why.empty()) {
      const bool may_force = why.starts_with("a run of Python");
      const bool is_link = why.starts_with("not a directory");
      throw Error(ErrorCode::invalid_command,
                  fmt::format("Cannot remove run {}/{}: it is {}", context.flow.name, run, why),
                  is_link     ? "A link may lead out of the store. Check who has made it, and remove the link itself."
                  : may_force ? fmt::format("If it is not running: {} rm --force {}", context.command(), run)
                              : fmt::format("To see its progress: {} status {}", context.command(), run));
    }
  }
  refuse_origins(context, removal, runs);
  removal.confirm();
  refuse_origins(context, removal, runs);  // the answer may have taken long
  removal.remove_runs();
  if (!options.no_gc) removal.remove_blobs();
  return 0;
}

}  // namespace

Command rm_command(Context& context) {
  auto options = std::make_shared<RmOptions>();
  Command command{.name = "rm", .help = "Remove runs with all their data. On a terminal, it asks first."};
  append_removal_options(command.options, options->removal);
  command.options.push_back({.name = "--force",
                             .help = "Also remove runs of Python that may be running.",
                             .set = store_flag(options->removal.force)});
  command.options.push_back({.name = "--no-gc",
                             .help = "Do not look for values that no run refers to. `gc` finds them later.",
                             .set = store_flag(options->no_gc)});
  command.arguments = {{.name = "RUN_ID", .multiple = true, .set = append_text(options->runs)}};
  command.run = [&context, options] { return remove(context, *options); };
  return command;
}

}  // namespace metaflow::cli
