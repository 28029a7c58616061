// dump: the artifacts of tasks.

#include <algorithm>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/paths.h"
#include "store/stored_artifact.h"
#include "value/encode_value.h"
#include "value/json_value.h"
#include "value/unpickler.h"

namespace metaflow::cli {

namespace {

struct DumpOptions {
  std::string path;
  bool include_private = false;
  std::size_t max_value_size = 1000;
  std::string include;
  std::string file;
  bool json = false;
};

/// The selected artifacts of a task.
std::vector<store::ArtifactRecord> select_artifacts(const store::TaskData& data, const DumpOptions& options,
                                                    const std::vector<std::string>& names) {
  std::vector<store::ArtifactRecord> records;
  for (const auto& artifact : data.artifacts) {
    if (artifact.name.starts_with('_') && !options.include_private) continue;
    if (!names.empty() && std::find(names.begin(), names.end(), artifact.name) == names.end()) continue;
    records.push_back(artifact);
  }
  return records;
}

using Tasks = std::vector<std::pair<store::TaskRef, std::vector<store::ArtifactRecord>>>;

/// The tasks that have a finished attempt. A message names the others. Throws Error{data_store} if there are none.
Tasks finished_tasks(Context& context, const DumpOptions& options, const std::vector<std::string>& names) {
  const auto refs = tasks_of_path(context, options.path);
  Tasks tasks;
  for (const store::TaskRef& task : refs) {
    if (const auto data = context.store().read_done(task)) {
      tasks.emplace_back(task, select_artifacts(*data, options, names));
    } else if (refs.size() > 1) {
      Context::echo_always(fmt::format("Task {} has no finished attempt: nothing to dump.\n", task.path()));
    }
  }
  if (!tasks.empty()) return tasks;
  throw Error(
      ErrorCode::data_store,
      fmt::format("No completed attempts of the task was found for task '{}/{}'", context.flow.name, refs[0].path()),
      fmt::format("The task is still running, or its process was killed. Its output: {} logs {}", context.command(),
                  refs[0].path()));
}

/// Prints the names of requested artifacts that no task has. Throws Error{not_found} if no requested artifact exists; a
/// file is written nevertheless, as Metaflow does: scripts find out by it which tasks have an artifact.
void check_found(Context& context, const DumpOptions& options, const std::vector<std::string>& names,
                 const Tasks& tasks) {
  auto is_missing = [&](const std::string& name) {
    return std::none_of(tasks.begin(), tasks.end(), [&](const auto& task) {
      return std::any_of(task.second.begin(), task.second.end(), [&](const auto& a) { return a.name == name; });
    });
  };
  const auto missing = static_cast<std::size_t>(std::count_if(names.begin(), names.end(), is_missing));
  if (!names.empty() && missing == names.size() && options.file.empty()) {
    const bool hidden = !options.include_private && names[0].starts_with('_');
    throw Error(ErrorCode::not_found,
                fmt::format("There is no artifact {} in {}", base::join(names, ", "), options.path),
                hidden ? "Names that begin with an underscore need --private." : "");
  }
  for (const std::string& name : names) {
    if (is_missing(name)) context.echo(fmt::format("There is no artifact {} in {}\n", name, options.path));
  }
}

/// A value that only Python can read, for its pickle: what Python's loads() makes of these bytes.
void encode_for_python(detail::Pickler& pickler, const store::FlowStore& store, const store::ArtifactRecord& artifact) {
  const base::SharedBytes payload = store.load_value(artifact.key, artifact.size, artifact.name);
  const detail::Pickler::Copying copying(pickler);
  pickler.begin_object("_pickle", "loads", 1, false);
  pickler.next();
  pickler.bytes(payload.bytes());
  pickler.end();
}

void print_task(Context& context, const DumpOptions& options, const store::TaskRef& task,
                const std::vector<store::ArtifactRecord>& artifacts) {
  context.echo(fmt::format("Dumping output of run_id={} step={} task_id={}\n", task.run, task.step, task.task));
  const auto store = std::make_shared<store::FlowStore>(context.store());
  for (const auto& artifact : artifacts) {
    const store::StoredArtifact stored(store, artifact);
    std::string text = "< artifact too large: --max-value-size >";
    std::string type = artifact.type;
    if (artifact.size <= options.max_value_size || type.empty()) {
      const std::optional<Document> document = stored.read_known();
      if (type.empty()) type = document ? python_type(document->root()) : "object";
      if (artifact.size <= options.max_value_size) text = document ? text_of(document->root()) : kOnlyPython;
    }
    Context::print(fmt::format("{} [size: {} type: {}] = {}\n", artifact.name, artifact.size, type, text));
  }
}

base::Json json_of(const store::StoredArtifact& artifact) {
  const std::optional<Document> document = artifact.read_known();
  return document ? value::json_of(document->root()) : base::Json(kOnlyPython);
}

/// Writes {"17/start/1": {"x": 1}} as JSON, or as a pickle to a file, like Metaflow's dump --file.
void write_all_tasks(Context& context, const DumpOptions& options, const Tasks& tasks) {
  const auto store = std::make_shared<store::FlowStore>(context.store());
  if (options.json) {
    base::Json all = base::Json::object();
    for (const auto& [task, artifacts] : tasks) {
      base::Json values = base::Json::object();
      for (const auto& artifact : artifacts) values.set(artifact.name, json_of(store::StoredArtifact(store, artifact)));
      all.set(task.path(), std::move(values));
    }
    const std::string text = all.dump() + "\n";
    options.file.empty() ? Context::print(text) : base::write_output_file(options.file, text);
    return;
  }
  std::vector<Document> documents;  // own the values that the pickle refers to
  detail::Pickler pickler{detail::ValuesOutlive{}};
  pickler.begin_dict();
  for (const auto& [task, artifacts] : tasks) {
    pickler.next();
    {
      const detail::Pickler::Copying copying(pickler);
      pickler.text(task.path());
    }
    pickler.begin_dict();
    for (const auto& artifact : artifacts) {
      pickler.next();
      pickler.text(artifact.name);
      if (auto document = store::StoredArtifact(store, artifact).read_known()) {
        documents.push_back(std::move(*document));
        value::encode_value(pickler, documents.back().root());
      } else {
        encode_for_python(pickler, *store, artifact);
      }
    }
    pickler.end();
  }
  pickler.end();
  pickler.finish();
  base::write_output_file(options.file, pickler.parts());
}

int dump(Context& context, const DumpOptions& options) {
  std::vector<std::string> names;
  if (!options.include.empty()) names = base::split(options.include, ',');
  const Tasks tasks = finished_tasks(context, options, names);
  check_found(context, options, names, tasks);
  if (options.json || !options.file.empty()) {
    write_all_tasks(context, options, tasks);
    if (!options.file.empty()) context.echo(fmt::format("Artifacts written to {}\n", options.file));
    return 0;
  }
  for (const auto& [task, artifacts] : tasks) print_task(context, options, task, artifacts);
  return 0;
}

}  // namespace

Command dump_command(Context& context) {
  auto options = std::make_shared<DumpOptions>();
  return {.name = "dump",
          .help =
              "Show the artifacts of a task, or of all tasks of a step. INPUT_PATH is RUN/STEP or RUN/STEP/TASK; "
              "latest is the run that was started last.",
          .options = {{.name = "--private",
                       .help = "Show also artifacts whose names begin with an underscore.",
                       .set = store_flag(options->include_private)},
                      {.name = "--max-value-size",
                       .metavar = "INTEGER",
                       .help = "Show only values of at most this number of bytes.",
                       .shown_default = "1000",
                       .environment = "METAFLOW_DUMP_MAX_VALUE_SIZE",
                       .set = store_number("--max-value-size", options->max_value_size, 0)},
                      {.name = "--include",
                       .metavar = "TEXT",
                       .help = "Show only these artifacts: a,b,c.",
                       .set = store_text(options->include)},
                      {.name = "--file",
                       .metavar = "TEXT",
                       .kind = ValueKind::file,
                       .help = "Write the artifacts to this file, as a pickle; with --json as JSON.",
                       .set = store_file("--file", options->file)},
                      {.name = "--json", .help = "Print the values as JSON.", .set = store_flag(options->json)}},
          .arguments = {{.name = "INPUT_PATH", .kind = ValueKind::step_or_task, .set = store_text(options->path)}},
          .examples = {{"latest/end", "Show the artifacts of the last step of the last run."},
                       {"latest/end --json --file values.json", "Write them to a file, as JSON."}},
          .run = [&context, options] { return dump(context, *options); }};
}

}  // namespace metaflow::cli
