#include "runtime/origin.h"

#include <algorithm>
#include <memory>

#include <metaflow/codec.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "store/foreach.h"
#include "value/unpickler.h"

namespace metaflow::runtime {

using detail::Transition;
using store::TaskData;
using store::TaskRef;

namespace {

constexpr std::size_t kReadAtATime = 64;       // tasks
constexpr std::size_t kKept = 2048;            // tasks, of some kilobytes each
constexpr std::uint64_t kTypesUpTo = 1 << 20;  // larger values are not read to check their types

bool chooses_itself(const graph::Graph& graph, int step) {
  const auto& next = graph.step(step).next;
  return graph.step(step).transition == Transition::choose && std::find(next.begin(), next.end(), step) != next.end();
}

/// For a task that Python executed: what our tasks write to data.json is in its artifacts.
void add_details(const store::FlowStore& store, std::string_view path, TaskData& data) {
  if (data.has_details) return;
  auto read = [&](const char* name) -> std::optional<Document> {
    const store::ArtifactRecord* record = data.find(name);
    if (record == nullptr) return std::nullopt;
    return value::read_pickle(store.load_value(record->key, record->size, name));
  };
  const auto ok = read("_task_ok");
  data.ok = ok && ok->root().kind() == Kind::boolean && ok->as<bool>();
  // Python passes a range on with the other artifacts; behind an inner join the range is lost.
  auto add_items_of = [&](const std::string& variable) {
    const store::ArtifactRecord* range = data.find(variable);
    data.items.push_back({variable, range != nullptr ? range->key : "", range != nullptr ? range->size : 0, ""});
  };
  if (const auto frames = read("_foreach_stack")) {
    for (const ForeachFrame& frame : store::decode_frames(frames->root())) {
      data.place.push_back(frame.index);
      add_items_of(frame.variable);
    }
  }
  if (const auto iterations = read("_iteration_stack"); iterations && iterations->root().size() > 0)
    data.iteration = iterations->as<std::vector<std::size_t>>().back();
  if (const auto transition = read("_transition"); transition && transition->root().kind() == Kind::tuple) {
    const Value& next = transition->root()[0];
    for (std::size_t i = 0; i < next.size(); ++i) data.next.emplace_back(next[i].text());
  }
  if (const auto splits = read("_foreach_num_splits"); splits && splits->root().kind() == Kind::integer)
    data.splits = splits->as<std::uint64_t>();
  if (const auto variable = read("_foreach_var"); data.splits && variable && variable->root().kind() == Kind::text)
    add_items_of(std::string(variable->root().text()));
  check_details(data, path);
}

/// The one step whose name has changed; nothing if more has changed.
std::optional<std::string> renamed(const std::vector<std::string>& before, const std::vector<std::string>& now) {
  std::optional<std::string> found;
  if (before.size() != now.size()) return found;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (before[i] == now[i]) continue;
    if (found) return std::nullopt;
    found = now[i];
  }
  return found;
}

}  // namespace

std::set<int> steps_from(const graph::Graph& graph, int step) {
  std::set<int> found{step};
  std::vector<int> open{step};
  while (!open.empty()) {
    const int at = open.back();
    open.pop_back();
    for (int next : graph.step(at).next) {
      if (found.insert(next).second) open.push_back(next);
    }
  }
  return found;
}

Origin::Origin(const graph::Graph& graph, const Language& language, const store::FlowStore& store, std::string run,
               const std::string& from_step)
    : graph_(graph), language_(language), store_(store), run_(std::move(run)) {
  if (!from_step.empty()) again_ = steps_from(graph, graph.find(from_step));
  for (int step : graph.order()) {
    if (again_.contains(step)) continue;
    std::vector<std::string> tasks = store_.tasks(run_, graph_.step(step).name);
    for (std::size_t i = 0; i < tasks.size(); i += kReadAtATime)
      collect(step, std::span(tasks).subspan(i, std::min(kReadAtATime, tasks.size() - i)));
  }
}

void Origin::collect(int step, std::span<std::string> tasks) {
  std::vector<TaskRef> refs;
  for (const std::string& task : tasks) refs.push_back({run_, graph_.step(step).name, task});
  std::vector<std::optional<TaskData>> found;
  try {
    found = store_.read_done(refs);
    for (std::size_t i = 0; i < refs.size(); ++i) {
      if (found[i]) add_details(store_, store_.data_path(refs[i], found[i]->attempt), *found[i]);
    }
  } catch (const Error& error) {
    // Damaged, for example by a power loss: treated like a task that never finished, unless the store itself cannot be
    // read.
    if (error.code() != ErrorCode::data_store && error.code() != ErrorCode::data_missing &&
        error.code() != ErrorCode::invalid_value)
      throw;
    if (tasks.size() == 1) return;
    for (std::string& task : tasks) collect(step, std::span(&task, 1));  // find the damaged one
    return;
  }
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    auto& data = found[i];
    if (!data || !data->ok) continue;
    Finished& finished = finished_[key(step, data->place, data->iteration.value_or(0))];
    finished = {std::move(tasks[i]), data->attempt};
    kept_.erase(&finished);
    if (kept_.size() < kKept) kept_.emplace(&finished, std::move(*data));
  }
}

std::string Origin::key(int step, const std::vector<std::size_t>& indices, std::size_t iteration) const {
  std::string text = fmt::format("{}/{}", step, base::join(indices, ","));
  if (chooses_itself(graph_, step)) text += fmt::format("#{}", iteration);
  return text;
}

const Origin::Finished* Origin::find(int step, const std::vector<std::size_t>& indices, std::size_t iteration) const {
  const auto found = finished_.find(key(step, indices, iteration));
  return found == finished_.end() ? nullptr : &found->second;
}

std::vector<TaskData> Origin::read(std::span<const std::pair<int, const Finished*>> tasks) {
  auto path_of = [&](int step, const Finished& task) {
    return store_.data_path({run_, graph_.step(step).name, task.task}, task.attempt);
  };
  std::vector<std::string> paths;
  for (const auto& [step, task] : tasks) {
    if (!kept_.contains(task)) paths.push_back(path_of(step, *task));
  }
  const auto texts = store_.storage().get(paths);
  std::size_t next = 0;
  std::vector<TaskData> read;
  for (const auto& [step, task] : tasks) {
    if (auto kept = kept_.extract(task)) {
      read.push_back(std::move(kept.mapped()));
    } else {
      const std::string& path = paths[next];
      const auto& text = texts[next++];
      if (!text) throw Error(ErrorCode::data_missing, fmt::format("'{}' vanished while its task was cloned", path));
      read.push_back(store::task_data_from_json(text->text(), path));
      add_details(store_, path, read.back());
    }
    check_next(step, *task, read.back());
  }
  return read;
}

/// Whether the steps differ only in the names of steps that are executed again.
bool Origin::are_renamed(const std::vector<std::string>& before, const std::vector<std::string>& now) const {
  if (before.size() != now.size()) return false;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (before[i] != now[i] && !again_.contains(graph_.find(now[i]))) return false;
  }
  return true;
}

void Origin::check_next(int index, const Finished& task, TaskData& data) {
  const graph::Step& step = graph_.step(index);
  std::vector<std::string> possible;
  for (int next : step.next) possible.push_back(graph_.step(next).name);
  const bool one_of = step.transition == Transition::choose;
  const bool same =
      one_of ? data.next.size() == 1 && std::find(possible.begin(), possible.end(), data.next[0]) != possible.end()
             : data.next == possible;
  const bool same_kind = (step.transition == Transition::foreach) == data.splits.has_value();
  if (!same && same_kind && !one_of && are_renamed(data.next, possible)) {
    data.next = possible;
    data.has_details = false;
    renamed_next_.insert(index);
  } else if (!same || !same_kind) {
    auto words = [](const std::vector<std::string>& steps, bool fans_out) {
      return steps.empty() ? std::string("ends the flow")
                           : fmt::format("{} {}", fans_out ? "fans out to" : "goes on to", base::join(steps, ", "));
    };
    throw Error(ErrorCode::invalid_command,
                fmt::format("Run {} does not match the current flow: task {}/{} {}, but step {} {}{}", run_, step.name,
                            task.task, words(data.next, data.splits.has_value()), step.name,
                            one_of ? "chooses one of " + base::join(possible, ", ")
                                   : words(possible, step.transition == Transition::foreach),
                            one_of ? "" : " now"),
                fmt::format("If a step was renamed, rerun it and the steps after it: resume {}",
                            same_kind && !one_of ? renamed(data.next, possible).value_or(step.name) : step.name));
  }
}

void Origin::check_types(int step, const Finished& task, const TaskData& data) const {
  const Language::ValueCheck check = language_.value_check();
  if (!check) return;
  for (const auto& artifact : graph_.flow().artifacts) {
    const store::ArtifactRecord* record = data.find(artifact.name);
    if (record == nullptr || record->size > kTypesUpTo ||
        (artifact.kind != detail::ArtifactKind::plain && artifact.kind != detail::ArtifactKind::parameter))
      continue;
    try {
      const Document document = value::read_pickle(store_.load_value(record->key, record->size, record->name));
      check(artifact.name, document.root(), detail::Place{nullptr, artifact.name, 0});
    } catch (const Error& error) {
      const std::string& name = graph_.step(step).name;
      throw Error(ErrorCode::invalid_command,
                  fmt::format("Run {} does not match the current flow: in task {}/{}, {}", run_, name, task.task,
                              error.message()),
                  fmt::format("If the type of a member was changed, rerun the step that sets it and the steps "
                              "after it: resume {}",
                              graph_.step(graph_.start()).name));
    }
  }
}

std::vector<std::optional<std::string>> Origin::find_damage(std::span<const TaskData> tasks) {
  return store_.find_damage(tasks, good_blobs_);
}

}  // namespace metaflow::runtime
