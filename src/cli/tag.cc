// tag: the tags of runs.

#include <algorithm>
#include <map>
#include <set>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/paths.h"
#include "value/json_value.h"

namespace metaflow::cli {

using store::RunInfo;
using Tags = std::vector<std::string>;

namespace {

struct TagOptions {
  std::string run_id;
  std::optional<std::string> name_space;
  std::vector<std::string> tags;
  std::vector<std::string> add;
  std::vector<std::string> remove;
  bool all = false;
  bool my_runs = false;
  bool hide_system = false;
  bool by_tag = false;
  bool by_run = false;
  bool flat = false;
  bool json = false;
};

bool in_namespace(const RunInfo& run, const std::string& name_space) {
  if (name_space.empty()) return true;
  auto has = [&](const std::vector<std::string>& tags) {
    return std::find(tags.begin(), tags.end(), name_space) != tags.end();
  };
  return has(run.tags) || has(run.system_tags);
}

std::string namespace_of(Context& context, const TagOptions& options) {
  return options.name_space.value_or("user:" + context.user());
}

/// The run of --run-id. Throws Metaflow's messages if the option is missing or the run is not found.
RunInfo find_run(Context& context, const TagOptions& options) {
  const std::string name_space = namespace_of(context, options);
  if (options.run_id.empty()) {
    for (const RunInfo& run : context.metadata().runs(context.flow.name)) {
      if (!in_namespace(run, name_space)) continue;
      throw Error(ErrorCode::invalid_command,
                  fmt::format("Please specify a run-id using --run-id.\n{}'s latest run in namespace {} has id {}.",
                              context.flow.name, name_space.empty() ? "(all)" : name_space, run.id));
    }
    if (context.metadata().runs(context.flow.name).empty()) {
      throw Error(ErrorCode::invalid_command,
                  fmt::format("No run found for {}. Please run the flow before tagging.", context.flow.name),
                  context.root_hint());
    }
    throw Error(ErrorCode::invalid_command,
                fmt::format("No run found for {} in namespace {}. You can switch the namespace using --namespace",
                            context.flow.name, name_space));
  }
  const std::string id = run_of_name(context, options.run_id);
  auto run = is_name(store::NameKind::run, id) ? context.metadata().run(context.flow.name, id) : std::nullopt;
  if (!run)
    throw Error(ErrorCode::invalid_command,
                fmt::format("No run {}/{} found for flow {}", context.flow.name, id, context.flow.name),
                context.root_hint());
  if (!in_namespace(*run, name_space)) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("No run {}/{} found in namespace {}. You can switch the namespace using --namespace",
                            context.flow.name, id, name_space));
  }
  return *run;
}

/// Formats tags in columns, filled from top to bottom. A column is as wide as the longest tag; a line has at most 124
/// characters.
std::string columns(std::vector<std::string> tags) {
  for (std::string& tag : tags) tag = base::visible(tag);
  std::sort(tags.begin(), tags.end());
  if (tags.empty()) return {};
  std::size_t longest = 0;
  for (const std::string& tag : tags) longest = std::max(longest, base::characters(tag));
  const std::size_t count = std::max<std::size_t>(1, 124 / (longest + 4));
  const std::size_t rows = (tags.size() + count - 1) / count;
  std::string text;
  for (std::size_t row = 0; row < rows; ++row) {
    std::string line;
    for (std::size_t i = row; i < tags.size(); i += rows) {
      if (!line.empty()) line += "    ";
      line += tags[i] + std::string(longest - base::characters(tags[i]), ' ');
    }
    text += std::string(base::trim(line)) + "\n";
  }
  return text;
}

std::vector<std::string> shown_tags(const RunInfo& run, bool hide_system) {
  std::vector<std::string> tags = run.tags;
  if (!hide_system) tags.insert(tags.end(), run.system_tags.begin(), run.system_tags.end());
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  return tags;
}

std::set<std::string> as_set(const Tags& tags) { return {tags.begin(), tags.end()}; }

constexpr std::string_view kTitle =
    "\nSystem tags and tags; only tags can be modified\n--------------------------------------------------------\n\n";

/// Runs and their tags on one line, as Metaflow prints them with --quiet: "Sweep/17 ; runtime:dev,user:me ; mine".
std::string line_of(const std::vector<std::string>& runs, const std::set<std::string>& system_tags,
                    const std::set<std::string>& tags) {
  return base::visible(
             fmt::format("{} ; {} ; {}", base::join(runs, ","), base::join(system_tags, ","), base::join(tags, ","))) +
         "\n";
}

std::string path_of(Context& context, const RunInfo& run) { return fmt::format("{}/{}", context.flow.name, run.id); }

int edit(Context& context, const TagOptions& options, const std::vector<std::string>& add,
         const std::vector<std::string>& remove) {
  RunInfo run = find_run(context, options);
  const std::set<std::string> before = as_set(run.tags);
  run.tags = context.tag_editor().edit_tags(context.flow.name, run.id, add, remove);
  for (const std::string& tag : remove) {
    if (!before.contains(tag)) context.echo(fmt::format("There was no tag {} to remove.\n", tag));
  }
  context.echo("Operation successful. New tags:\n");
  Context::print(context.top.quiet ? line_of({path_of(context, run)}, as_set(run.system_tags), as_set(run.tags))
                                   : std::string(kTitle) + columns(shown_tags(run, false)));
  return 0;
}

int replace(Context& context, const TagOptions& options) {
  auto refuse = [](const char* why) { return Error(ErrorCode::invalid_command, why); };
  if (options.add.empty() && options.remove.empty())
    throw refuse("Specify at least one tag to add (--add) and one tag to remove (--remove)");
  if (options.remove.empty()) throw refuse("Specify at least one tag to remove; else please use tag add.");
  if (options.add.empty()) throw refuse("Specify at least one tag to add, else please use tag remove.");
  return edit(context, options, options.add, options.remove);
}

/// The runs whose tags `list` shows.
std::vector<RunInfo> runs_to_list(Context& context, const TagOptions& options) {
  if (!options.run_id.empty()) {
    TagOptions any = options;
    if (!any.name_space) any.name_space = "";
    return {find_run(context, any)};
  }
  std::vector<RunInfo> runs = context.metadata().runs(context.flow.name);
  if (runs.empty()) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("Cannot list tags because the flow {} has never been run.", context.flow.name),
                context.root_hint());
  }
  const std::string name_space = options.my_runs ? "user:" + context.user() : options.name_space.value_or("");
  std::erase_if(runs, [&](const RunInfo& run) { return !in_namespace(run, name_space); });
  if (runs.empty()) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("No run found for {} in namespace {}.", context.flow.name, name_space));
  }
  return runs;
}

void list_by_run(Context& context, const TagOptions& options, const std::vector<RunInfo>& runs) {
  std::string text;
  for (const RunInfo& run : runs) {
    if (context.top.quiet) {
      text +=
          line_of({path_of(context, run)}, as_set(options.hide_system ? Tags{} : run.system_tags), as_set(run.tags));
    } else {
      text += fmt::format("For run {}\n{}\n", path_of(context, run), columns(shown_tags(run, options.hide_system)));
    }
  }
  Context::print(context.top.quiet ? text : std::string(kTitle) + text);
}

void list_by_tag(Context& context, const TagOptions& options, const std::vector<RunInfo>& runs) {
  std::map<std::pair<std::string, bool>, Tags> by_tag;  // the tag, and whether it is a system tag
  for (const RunInfo& run : runs) {
    for (const std::string& tag : run.tags) by_tag[{tag, false}].push_back(path_of(context, run));
    if (options.hide_system) continue;
    for (const std::string& tag : run.system_tags) by_tag[{tag, true}].push_back(path_of(context, run));
  }
  std::string text;
  for (const auto& [tag, names] : by_tag) {
    if (context.top.quiet) {
      text +=
          fmt::format("{}:{} ; {}\n", tag.second ? "system" : "user", base::visible(tag.first), base::join(names, ","));
    } else {
      text += fmt::format("For tag {}\n{}\n", base::visible(tag.first), columns(names));
    }
  }
  Context::print(context.top.quiet ? text : std::string(kTitle) + text);
}

void list_all(Context& context, const TagOptions& options, const std::vector<RunInfo>& runs) {
  Tags names;
  std::set<std::string> tags;
  std::set<std::string> system_tags;
  for (const RunInfo& run : runs) {
    names.push_back(path_of(context, run));
    tags.insert(run.tags.begin(), run.tags.end());
    if (!options.hide_system) system_tags.insert(run.system_tags.begin(), run.system_tags.end());
  }
  std::set<std::string> all = tags;
  all.insert(system_tags.begin(), system_tags.end());
  if (options.flat) {
    for (const std::string& tag : all) Context::print(base::visible(tag) + "\n");
  } else if (context.top.quiet) {
    Context::print(line_of(names, system_tags, tags));
  } else {
    Context::print(std::string(kTitle) + columns(Tags(all.begin(), all.end())));
  }
}

int list(Context& context, const TagOptions& options) {
  auto refuse = [](const char* why) { return Error(ErrorCode::invalid_command, why); };
  if (options.by_tag && options.by_run) throw refuse("Option --group-by-tag cannot be used with --group-by-run");
  if (options.flat && (options.by_tag || options.by_run))
    throw refuse("Option --flat cannot be used with any --group-by-* option");
  if (options.all && options.my_runs) throw refuse("Option --all cannot be used together with --my-runs.");
  const std::vector<RunInfo> runs = runs_to_list(context, options);
  if (options.json) {
    base::Json json = base::Json::object();
    for (const RunInfo& run : runs) json.set(run.id, {{"tags", run.tags}, {"system_tags", run.system_tags}});
    Context::print(json.dump_indented(2) + "\n");
  } else if (options.by_run) {
    list_by_run(context, options, runs);
  } else if (options.by_tag) {
    list_by_tag(context, options, runs);
  } else {
    list_all(context, options, runs);
  }
  return 0;
}

Option run_id_option(const std::shared_ptr<TagOptions>& options) {
  return {.name = "--run-id",
          .metavar = "TEXT",
          .kind = ValueKind::run,
          .help = "The run.",
          .set = store_text(options->run_id)};
}
Option namespace_option(const std::shared_ptr<TagOptions>& options) {
  return {.name = "--namespace",
          .metavar = "TEXT",
          .help = "Look for the run in this namespace. Default: user: and your name; an empty text: all.",
          .set = [options](const std::string& value) { options->name_space = value; }};
}

}  // namespace

Command tag_command(Context& context) {
  auto options = std::make_shared<TagOptions>();
  Command add{.name = "add", .help = "Add tags to a run."};
  add.options = {run_id_option(options), namespace_option(options)};
  add.arguments = {{.name = "TAGS", .multiple = true, .set = append_text(options->tags)}};
  add.examples = {{"--run-id latest reviewed", "Add a tag to the last run."}};
  add.run = [&context, options] { return edit(context, *options, options->tags, {}); };

  Command remove{.name = "remove", .help = "Remove tags from a run."};
  remove.options = add.options;
  remove.arguments = add.arguments;
  remove.run = [&context, options] { return edit(context, *options, {}, options->tags); };

  Command replace_tags{.name = "replace", .help = "Remove and add tags of a run at once. Removals are applied first."};
  replace_tags.options = {run_id_option(options),
                          namespace_option(options),
                          {.name = "--add",
                           .metavar = "TEXT",
                           .help = "Add this tag. May be repeated.",
                           .multiple = true,
                           .set = append_text(options->add)},
                          {.name = "--remove",
                           .metavar = "TEXT",
                           .help = "Remove this tag. May be repeated.",
                           .multiple = true,
                           .set = append_text(options->remove)}};
  replace_tags.run = [&context, options] { return replace(context, *options); };

  Command list_tags{.name = "list", .help = "List the tags of a run. Default: of all runs of this flow."};
  list_tags.options = {
      run_id_option(options),
      namespace_option(options),
      {.name = "--all", .help = "List the tags of all runs of this flow.", .set = store_flag(options->all)},
      {.name = "--my-runs", .help = "List the tags of all my runs.", .set = store_flag(options->my_runs)},
      {.name = "--hide-system-tags", .help = "Hide system tags.", .set = store_flag(options->hide_system)},
      {.name = "--group-by-tag", .help = "Print each tag with its runs.", .set = store_flag(options->by_tag)},
      {.name = "--group-by-run", .help = "Print each run with its tags.", .set = store_flag(options->by_run)},
      {.name = "--flat", .help = "One tag per line.", .hidden = true, .set = store_flag(options->flat)},
      {.name = "--json", .help = "Print the tags as JSON.", .set = store_flag(options->json)}};
  list_tags.arguments = {
      {.name = "RUN_ID", .kind = ValueKind::run, .required = false, .set = store_text(options->run_id)}};
  list_tags.run = [&context, options] { return list(context, *options); };

  return {.name = "tag",
          .help = "Add, remove, replace or list the tags of runs.",
          .commands = {add, remove, replace_tags, list_tags}};
}

}  // namespace metaflow::cli
