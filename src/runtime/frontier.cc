#include "runtime/frontier.h"

#include <algorithm>

#include <metaflow/error.h>

#include "base/format.h"

namespace metaflow::runtime {

using detail::Transition;
using store::TaskData;
using store::TaskRef;

namespace {

Error failure(const TaskRef& task, const std::string& why) {
  return {ErrorCode::step_failure, fmt::format("Step {} (task-id {}) failed: {}", task.step, task.task, why)};
}

}  // namespace

void Frontier::begin(const TaskRef& parameters) {
  add(Ready{.step = graph_.start(), .inputs = {parameters}, .position = {}, .split_index = {}, .joined_split = {}});
}

void Frontier::add(Ready work) {
  expect_(work.step, 1);
  queue_.emplace_back(std::move(work));
}

int Frontier::next_step() const {
  const Entry& next = queue_.front();
  if (const auto* fan_out = std::get_if<FanOut>(&next)) return fan_out->step;
  return std::get<Ready>(next).step;
}

Ready Frontier::take() {
  Entry& next = queue_.front();
  auto* fan_out = std::get_if<FanOut>(&next);
  if (fan_out == nullptr) {
    Ready work = std::move(std::get<Ready>(next));
    queue_.pop_front();
    return work;
  }
  const std::size_t item = fan_out->next++;
  Ready work{.step = fan_out->step,
             .inputs = {fan_out->split->task},
             .position = {fan_out->split, item},
             .split_index = item,
             .joined_split = {}};
  if (fan_out->next == fan_out->end) queue_.pop_front();
  return work;
}

void Frontier::defer(Ready work) {
  if (!work.split_index) {
    deferred_.emplace_back(std::move(work));
    return;
  }
  const std::size_t item = *work.split_index;
  auto* last = deferred_.empty() ? nullptr : std::get_if<FanOut>(&deferred_.back());
  if (last != nullptr && last->split == work.position.split && last->end == item) {
    ++last->end;
  } else {
    deferred_.emplace_back(FanOut{work.position.split, work.step, item, item + 1});
  }
}

void Frontier::restore() {
  queue_.insert(queue_.begin(), std::make_move_iterator(deferred_.begin()), std::make_move_iterator(deferred_.end()));
  deferred_.clear();
}

std::vector<std::size_t> Frontier::waiting() const {
  std::vector<std::size_t> counts(graph_.steps().size());
  for (const Entry& entry : queue_) {
    if (const auto* fan_out = std::get_if<FanOut>(&entry)) {
      counts[static_cast<std::size_t>(fan_out->step)] += fan_out->end - fan_out->next;
    } else {
      ++counts[static_cast<std::size_t>(std::get<Ready>(entry).step)];
    }
  }
  return counts;
}

std::vector<std::size_t> Frontier::indices(const Position& position) const {
  std::vector<std::size_t> indices;
  for (const Position* at = &position; at->split != nullptr; at = &at->split->outer) {
    if (graph_.step(at->split->step).transition == Transition::foreach) indices.push_back(at->branch);
  }
  std::reverse(indices.begin(), indices.end());
  return indices;
}

std::string Frontier::label(const Position& position) const {
  std::string text;
  for (const Position* at = &position; at->split != nullptr; at = &at->split->outer) {
    const std::string_view label = at->split->labels ? at->split->labels->of(at->branch) : "";
    if (!label.empty()) text = fmt::format("{}{}{}", label, text.empty() ? "" : ", ", text);
  }
  return text;
}

std::string Frontier::execution_path(const Position& position) const {
  std::string path;
  for (const Position* at = &position; at->split != nullptr; at = &at->split->outer) {
    const graph::Step& step = graph_.step(at->split->step);
    if (step.transition != Transition::foreach) continue;
    path = fmt::format("{}:{}{}{}", graph_.step(step.next[0]).name, at->branch, path.empty() ? "" : ",", path);
  }
  return path;
}

void Frontier::follow(const Ready& work, const TaskRef& task, const TaskData& data,
                      std::shared_ptr<const store::ItemLabels> labels) {
  const graph::Step& step = graph_.step(work.step);
  if (step.transition == Transition::none) {
    ended_ = true;
    return;
  }
  if (step.transition == Transition::foreach || step.transition == Transition::split)
    return split(work, task, data, std::move(labels));
  const int next = data.next.empty() ? -1 : graph_.find(data.next[0]);
  if (next < 0) throw failure(task, "its data.json does not name the next step.");
  if (graph_.step(next).join) return arrive(work, task, next);
  add(Ready{.step = next,
            .inputs = {task},
            .position = work.position,
            .split_index = {},
            .joined_split = {},
            .iteration = next == work.step ? work.iteration + 1 : 0});
}

void Frontier::split(const Ready& work, const TaskRef& task, const TaskData& data,
                     std::shared_ptr<const store::ItemLabels> labels) {
  const graph::Step& step = graph_.step(work.step);
  auto split = std::make_shared<Split>();
  split->step = work.step;
  split->task = task;
  split->outer = work.position;
  split->labels = std::move(labels);
  if (step.transition == Transition::split) {
    split->branches = step.next.size();
    for (std::size_t branch = 0; branch < step.next.size(); ++branch)
      add(Ready{.step = step.next[branch],
                .inputs = {task},
                .position = {split, branch},
                .split_index = {},
                .joined_split = {}});
    return;
  }
  split->branches = data.splits.value_or(0);
  if (split->branches == 0) throw failure(task, "its data.json has no number of items.");
  if (split->branches > max_num_splits_) {
    // The task itself has succeeded: `resume` continues from it.
    throw Error(
        ErrorCode::step_failure,
        fmt::format("Foreach in step {} (task-id {}) yielded {} child steps which is more than the current maximum "
                    "of {} children. You can raise the maximum with the --max-num-splits option.",
                    step.name, task.task, split->branches, max_num_splits_),
        fmt::format("To allow this many: {} resume --max-num-splits {}", command_, split->branches));
  }
  expect_(step.next[0], split->branches);
  split->arrived.reserve(split->branches);
  queue_.emplace_back(FanOut{split, step.next[0], 0, split->branches});
}

void Frontier::arrive(const Ready& work, const TaskRef& task, int join) {
  Split& split = *work.position.split;
  split.arrived.push_back({work.position.branch, work.step, task.task});
  if (split.arrived.size() < split.branches) return;
  std::sort(split.arrived.begin(), split.arrived.end(),
            [](const auto& a, const auto& b) { return a.branch < b.branch; });
  Ready joining{
      .step = join, .inputs = {}, .position = split.outer, .split_index = {}, .joined_split = split.task.path()};
  joining.inputs.reserve(split.arrived.size());
  for (const Split::Arrival& arrival : split.arrived)
    joining.inputs.push_back({task.run, graph_.step(arrival.step).name, arrival.task});
  add(std::move(joining));
}

}  // namespace metaflow::runtime
