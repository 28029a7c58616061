// gc: removes old runs, and values that no run refers to.

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/removal.h"
#include "cli/run_list.h"
#include "store/local/local_runs.h"

namespace metaflow::cli {

namespace {

struct GcOptions {
  RemovalOptions removal;
  std::int64_t older_than = -1;
  std::optional<std::size_t> keep;
  std::set<RunState> states;
  std::vector<std::string> tags;
  std::vector<std::string> without_tags;

  bool selects() const { return older_than >= 0 || keep || !states.empty() || !tags.empty() || !without_tags.empty(); }
};

/// The runs to remove: those that match the tags and states, without the newest ones (--keep) and the young ones.
/// `now`: by the clock of the storage, since that of this host may be wrong.
std::vector<std::string> select_runs(Context& context, const GcOptions& options, std::int64_t now) {
  std::vector<std::string> selected;
  std::size_t matching = 0;
  visit_runs(context, [&](const store::RunInfo& run) {
    const auto has = [&](const std::string& tag) { return has_tag(run, tag); };
    if (!std::all_of(options.tags.begin(), options.tags.end(), has)) return true;
    if (std::any_of(options.without_tags.begin(), options.without_tags.end(), has)) return true;
    if (!options.states.empty() && !options.states.contains(read_state(context, run.id))) return true;
    if (++matching <= options.keep.value_or(0)) return true;
    const std::int64_t time = store::time_of_run_id(run.id);
    if (options.older_than >= 0 && now - (time > 0 ? time : run.created) < options.older_than) return true;
    selected.push_back(run.id);
    return true;
  });
  return selected;
}

void remove_selected(Context& context, Removal& removal, const GcOptions& options) {
  std::vector<std::string> kept;
  for (const std::string& run : select_runs(context, options, removal.now())) {
    // With the service, records of removed runs stay.
    if (!context.store().has_run(run) && !store::is_local_run(context.local_root(), context.flow.name, run)) continue;
    try {
      if (const std::string why = removal.add(run); !why.empty()) kept.push_back(fmt::format("{}: it is {}", run, why));
    } catch (const Error& error) {  // damaged, or only another user can read it
      if (error.code() != ErrorCode::data_store) throw;
      kept.push_back(fmt::format("{}: {}", run, error.message()));
    }
  }
  auto keep_origins = [&] {
    for (const Removal::Kept& one : removal.keep_origins(known_run_ids(context)))
      kept.push_back(fmt::format("{}: run {} resumed it, and has clones of its tasks", one.run, one.resumed_by));
    for (const std::string& why : kept) context.echo(fmt::format("Kept run {}\n", why));
    kept.clear();
  };
  keep_origins();
  if (removal.empty()) return context.echo("No run to remove.\n");
  removal.confirm();
  keep_origins();  // the answer may have taken long
  removal.remove_runs();
}

int collect(Context& context, const GcOptions& options) {
  if (context.store().storage().list(context.flow.name).empty()) {
    const std::string hint = context.root_hint();
    context.echo(fmt::format("No run of {} found in {}.\n{}", context.flow.name, context.datastore_root(),
                             hint.empty() ? "" : hint + "\n"));
    return 0;
  }
  Removal removal(context, options.removal);
  if (options.selects()) remove_selected(context, removal, options);
  removal.remove_blobs();
  return 0;
}

}  // namespace

Command gc_command(Context& context) {
  auto options = std::make_shared<GcOptions>();
  Command command{.name = "gc",
                  .help =
                      "Remove values that no run refers to, and, with a selection, runs. A run is removed if it "
                      "matches all options of the selection."};
  command.options = {
      {.name = "--older-than",
       .metavar = "TIME",
       .help = "Remove runs that began at least this long ago: 30d, 12h, 2w.",
       .set = store_age("--older-than", options->older_than, 0)},
      {.name = "--keep",
       .metavar = "INTEGER",
       .help = "Keep the newest runs, this many of those with the tags and states of the selection.",
       .set = store_number("--keep", options->keep, 0)},
      {.name = "--state",
       .metavar = "TEXT",
       .help = "Remove runs in this state: done, failed, interrupted, scheduler-died or unfinished. You "
               "can specify this option multiple times.",
       .multiple = true,
       .set = [options](const std::string& value) { options->states.insert(state_of_name("--state", value)); }},
      {.name = "--tag",
       .metavar = "TEXT",
       .help = "Remove runs with this tag. You can specify this option multiple times.",
       .multiple = true,
       .set = append_text(options->tags)},
      {.name = "--without-tag",
       .metavar = "TEXT",
       .help = "Keep runs with this tag. You can specify this option multiple times.",
       .multiple = true,
       .set = append_text(options->without_tags)}};
  append_removal_options(command.options, options->removal);
  command.run = [&context, options] { return collect(context, *options); };
  return command;
}

}  // namespace metaflow::cli
