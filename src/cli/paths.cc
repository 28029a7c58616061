#include "cli/paths.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <set>
#include <string_view>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "cli/run_list.h"
#include "store/foreach.h"
#include "store/journal.h"
#include "store/local/latest_run.h"
#include "store/local/local_runs.h"
#include "value/unpickler.h"

namespace metaflow::cli {

namespace {

struct TaskPath {
  std::string run;
  std::string step;
  std::string task{};  // empty: all tasks
  std::optional<std::size_t> index{};
};

/// Removes the index from "work[17]" and returns it.
std::optional<std::size_t> take_index(std::string& step) {
  const std::size_t open = step.find('[');
  if (open == std::string::npos || !step.ends_with(']')) return std::nullopt;
  const std::string_view digits = std::string_view(step).substr(open + 1, step.size() - open - 2);
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  step.resize(open);
  return index;
}

/// Returns nullopt if the text is not a path of a step or task.
std::optional<TaskPath> parse_task_path(Context& context, const std::string& text) {
  auto parts = base::split(text, '/');
  if (parts.size() > 2 && parts[0] == context.flow.name && !context.store().has_run(parts[0]))
    parts.erase(parts.begin());
  if (parts.size() != 2 && parts.size() != 3) return std::nullopt;
  TaskPath path{.run = run_of_name(context, parts[0]), .step = parts[1]};
  if (parts.size() == 3) {
    path.task = parts[2];
  } else {
    path.index = take_index(path.step);
  }
  return path;
}

void check_path_names(const TaskPath& path, const std::string& text) {
  if (!is_name(store::NameKind::run, path.run) || !is_name(store::NameKind::step, path.step) ||
      (!path.task.empty() && !is_name(store::NameKind::task, path.task)))
    throw Error(ErrorCode::invalid_command, fmt::format("'{}' is not a run_id/step_name/task_id", text));
}

/// The index of a stored task in its innermost foreach.
std::optional<std::size_t> index_of(const store::FlowStore& store, const store::TaskData& data) {
  if (data.has_details) return data.place.empty() ? std::nullopt : std::optional(data.place.back());
  const store::ArtifactRecord* stack = data.find("_foreach_stack");  // of a task that Python executed
  if (stack == nullptr) return std::nullopt;
  const auto frames =
      store::decode_frames(value::read_pickle(store.load_value(stack->key, stack->size, stack->name)).root());
  return frames.empty() ? std::nullopt : std::optional(frames.back().index);
}

/// The tasks with this index. Nested foreachs may have several. The journal has the indices of the tasks of the step
/// that a foreach goes to; the store has those of later steps, of clones, and of tasks that the official Metaflow
/// executed.
std::vector<store::TaskRef> tasks_with_index(Context& context, const TaskPath& path) {
  store::FlowStore& store = context.store();
  std::vector<store::TaskRef> found;
  std::set<std::string> executed;
  if (const auto history =
          store::read_journal(store::journal_path(context.local_root(), context.flow.name, path.run), path.run)) {
    for (const store::AttemptHistory& attempt : history->attempts) {
      if (attempt.task.step != path.step || !attempt.index || !executed.insert(attempt.task.task).second) continue;
      if (attempt.index == path.index) found.push_back({path.run, path.step, attempt.task.task});
    }
  }
  std::vector<store::TaskRef> others;
  for (const std::string& task : store.tasks(path.run, path.step)) {
    if (!executed.contains(task)) others.push_back({path.run, path.step, task});
  }
  const auto stored = store.read_done(others);
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (stored[i] && index_of(store, *stored[i]) == path.index) found.push_back(others[i]);
  }
  return found;
}

std::vector<store::TaskRef> find_path_tasks(Context& context, const TaskPath& path) {
  store::FlowStore& store = context.store();
  if (!store.has_run(path.run)) throw context.no_run(path.run, context.datastore_root());
  const auto steps = store.steps(path.run);
  if (std::find(steps.begin(), steps.end(), path.step) == steps.end()) {
    throw Error(ErrorCode::not_found,
                fmt::format("Run {}/{} has no step {}: it does not exist or has not started yet", context.flow.name,
                            path.run, path.step),
                fmt::format("To list the steps: {} show", context.command()));
  }
  std::vector<store::TaskRef> refs;
  if (path.index) {
    refs = tasks_with_index(context, path);
    if (!refs.empty()) return refs;
    throw Error(ErrorCode::not_found,
                fmt::format("Run {}/{} has no task {}[{}]", context.flow.name, path.run, path.step, *path.index));
  }
  for (const std::string& task : store.tasks(path.run, path.step)) {
    if (path.task.empty() || path.task == task) refs.push_back({path.run, path.step, task});
  }
  if (!refs.empty()) return refs;
  if (!path.task.empty()) {
    throw Error(ErrorCode::not_found,
                fmt::format("Step {}/{}/{} has no task {}", context.flow.name, path.run, path.step, path.task));
  }
  throw Error(ErrorCode::invalid_command,
              "No Tasks found at the given path -- either none exist or none have started yet");
}

}  // namespace

namespace {

bool is_run(Context& context, const std::string& run) {
  return store::is_local_run(context.local_root(), context.flow.name, run) || context.store().has_run(run) ||
         (context.uses_service() && context.metadata().run(context.flow.name, run));
}

std::string latest_of(Context& context) {
  if (auto latest = store::latest_run(context.local_root(), context.flow.name)) return std::move(*latest);
  throw Error(ErrorCode::not_found,
              fmt::format("No latest run of {} found in {}", context.flow.name, context.local_root()),
              context.root_hint());
}

std::string latest_failed(Context& context) {
  std::string found;
  visit_runs(context, [&](const store::RunInfo& run) {
    const RunState state = read_state(context, run.id);
    if (state == RunState::failed || state == RunState::interrupted || state == RunState::scheduler_died)
      found = run.id;
    return found.empty();
  });
  if (!found.empty()) return found;
  throw Error(ErrorCode::not_found,
              fmt::format("No failed run of {} found in {}", context.flow.name, context.local_root()),
              fmt::format("To list the runs: {} runs", context.command()));
}

/// The run whose id begins with the text; the text itself if there is none.
std::string run_of_prefix(Context& context, const std::string& prefix) {
  constexpr std::size_t kLeast = 4;
  constexpr std::size_t kShown = 5;
  if (prefix.size() < kLeast) return prefix;
  std::vector<std::string> found;
  for (std::string& run : known_run_ids(context)) {
    if (run.starts_with(prefix) && is_run(context, run)) found.push_back(std::move(run));
  }
  if (found.empty()) return prefix;
  if (found.size() == 1) return std::move(found[0]);
  const std::string more = found.size() > kShown ? fmt::format(" and {} more", found.size() - kShown) : "";
  const std::string last = found.front();
  found.resize(std::min(found.size(), kShown));
  throw Error(
      ErrorCode::invalid_command,
      fmt::format("'{}' is the begin of several runs: {}{}", base::visible(prefix), base::join(found, ", "), more),
      fmt::format("Name one by its id, such as {}. To list the runs: {} runs", last, context.command()));
}

}  // namespace

std::string run_of_name(Context& context, const std::string& name) {
  const std::string prefix = context.flow.name + "/";
  const std::string run = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  if (!is_name(store::NameKind::run, run) || is_run(context, run)) return run;
  if (run == "latest") return latest_of(context);
  if (run == "latest-failed") return latest_failed(context);
  return run_of_prefix(context, run);
}

std::vector<store::TaskRef> tasks_of_path(Context& context, const std::string& text) {
  const auto path = parse_task_path(context, text);
  if (!path)
    throw Error(ErrorCode::invalid_command, "input_path should either be run_id/step_name or run_id/step_name/task_id");
  check_path_names(*path, text);
  return find_path_tasks(context, *path);
}

store::TaskRef task_of_path(Context& context, const std::string& text) {
  const auto path = parse_task_path(context, text);
  if (!path) {
    throw Error(ErrorCode::invalid_command, fmt::format("'{}' is not a run_id/step_name/task_id", text),
                fmt::format("A failed run prints the command to use: {} debug RUN/STEP/TASK", context.command()));
  }
  check_path_names(*path, text);
  if (!path->task.empty()) return {path->run, path->step, path->task};
  auto tasks = find_path_tasks(context, *path);
  if (tasks.size() == 1) return std::move(tasks[0]);
  throw Error(ErrorCode::invalid_command, fmt::format("'{}' matches {} tasks", text, tasks.size()),
              path->index ? fmt::format("Name one by its id, such as {}.", tasks[0].path())
                          : fmt::format("Name one by its id or its index, such as {} or {}/{}[0].", tasks[0].path(),
                                        path->run, path->step));
}

}  // namespace metaflow::cli
