#include "cli/paths.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "store/journal.h"
#include "store/local/latest_run.h"

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

/// The executed tasks with this index. Nested foreachs may have several.
std::vector<std::string> tasks_with_index(Context& context, const TaskPath& path) {
  const auto history =
      store::read_journal(store::journal_path(context.local_root(), context.flow.name, path.run), path.run);
  std::vector<std::string> tasks;
  if (!history) return tasks;
  for (const store::AttemptHistory& attempt : history->attempts) {
    const store::TaskRef& task = attempt.task;
    if (task.step == path.step && attempt.index == path.index &&
        std::find(tasks.begin(), tasks.end(), task.task) == tasks.end())
      tasks.push_back(task.task);
  }
  return tasks;
}

std::vector<store::TaskRef> find_path_tasks(Context& context, const TaskPath& path) {
  store::FlowStore& store = context.store();
  if (!store.has_run(path.run)) {
    throw Error(ErrorCode::not_found,
                fmt::format("No run {}/{} found in {}", context.flow.name, path.run, context.datastore_root()),
                context.root_hint());
  }
  const auto steps = store.steps(path.run);
  if (std::find(steps.begin(), steps.end(), path.step) == steps.end()) {
    throw Error(ErrorCode::not_found, fmt::format("Run {}/{} has no step {}: it does not exist or has not started yet",
                                                  context.flow.name, path.run, path.step));
  }
  std::vector<store::TaskRef> refs;
  if (path.index) {
    for (const std::string& task : tasks_with_index(context, path)) refs.push_back({path.run, path.step, task});
    if (!refs.empty()) return refs;
    throw Error(
        ErrorCode::not_found,
        fmt::format("Run {}/{} has not executed a task {}[{}]", context.flow.name, path.run, path.step, *path.index),
        "Name a task that was cloned, or executed by Python, by its id.");
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

std::string run_of_name(Context& context, const std::string& name) {
  const std::string prefix = context.flow.name + "/";
  const std::string run = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  if (run != "latest" || context.store().has_run(run)) return run;
  if (auto latest = store::latest_run(context.local_root(), context.flow.name)) return std::move(*latest);
  throw Error(ErrorCode::not_found,
              fmt::format("No latest run of {} found in {}", context.flow.name, context.local_root()),
              context.root_hint());
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
