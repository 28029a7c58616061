// The part of a run that executes nothing: what its origin has finished is taken over.

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "runtime/run.h"

namespace metaflow::runtime {

using store::TaskData;
using store::TaskRef;

namespace {

constexpr std::size_t kClonesAtATime = 64;  // read and written together; then signals are looked at

/// Names in data.json that are no artifacts for the clients: `resume` needs them, people do not.
bool is_internal(std::string_view name) {
  return name == "_transition" || name == "_iteration_stack" || name == "_current_step" || name == "_foreach_var" ||
         name == "_foreach_num_splits" || name == "_foreach_values";
}

}  // namespace

TaskData visible(TaskData data) {
  std::erase_if(data.artifacts, [](const store::ArtifactRecord& artifact) { return is_internal(artifact.name); });
  return data;
}

void Run::clone(Origin& origin) {
  while (!frontier_.empty() && !stopping()) {
    std::vector<Adopted> tasks = to_be_adopted(origin);
    for (Adopted& task : tasks) {
      if (!progress(task.work.step).started) origin.check_types(task.work.step, *task.finished, task.data);
      while (!has_id(task.work.step, tasks.size()) && !stopping()) services_.loop.run_once();
      if (stopping()) break;
      task.ref = new_task(task.work.step);
    }
    if (stopping()) break;
    adopt(tasks, origin);
    services_.reporter.flush();
    services_.journal.flush();
    services_.loop.poll();
  }
  frontier_.restore();
  services_.reporter.flush();
  services_.journal.flush();
}

/// Of what can be executed next, some that the origin has finished, read together; the others are kept for later.
std::vector<Run::Adopted> Run::to_be_adopted(Origin& origin) {
  std::vector<Ready> works;
  std::vector<std::pair<int, const Origin::Finished*>> finished;
  while (!frontier_.empty() && works.size() < kClonesAtATime) {
    Ready work = frontier_.take();
    const Origin::Finished* found = origin.find(work.step, frontier_.indices(work.position), work.iteration);
    if (found == nullptr) {
      frontier_.defer(std::move(work));
      continue;
    }
    finished.emplace_back(work.step, found);
    works.push_back(std::move(work));
  }
  std::vector<TaskData> data = origin.read(finished);
  for (std::size_t i = 0; i < works.size(); ++i) find_items(works[i].position, data[i]);
  const auto damage = origin.find_damage(data);
  std::vector<Adopted> tasks;
  for (std::size_t i = 0; i < works.size(); ++i) {
    if (damage[i]) {
      say(ReportLine::Kind::run,
          fmt::format("Task {}/{}/{} is executed again instead of cloned: {}.", origin.run(),
                      services_.graph.step(works[i].step).name, finished[i].second->task, *damage[i]));
      frontier_.defer(std::move(works[i]));
    } else {
      tasks.push_back({std::move(works[i]), finished[i].second, std::move(data[i])});
    }
  }
  return tasks;
}

/// Behind an inner join, a task in Python has lost what the outer foreachs go over; the tasks that split know.
void Run::find_items(const Position& position, TaskData& data) const {
  if (data.has_details || data.items.size() < data.place.size()) return;
  std::size_t at = data.place.size();
  for (const Position* p = &position; p->split != nullptr && at > 0; p = &p->split->outer) {
    if (services_.graph.step(p->split->step).transition != detail::Transition::foreach) continue;
    if (!data.items[--at].key.empty()) continue;
    const std::optional<TaskData> split = services_.store.read_done(p->split->task);
    if (split && split->items.size() > at) data.items[at] = split->items[at];
  }
}

void Run::adopt(std::vector<Adopted>& tasks, const Origin& origin) {
  auto from = [&](const Adopted& task) { return TaskRef{origin.run(), task.ref.step, task.finished->task}; };
  std::vector<store::FlowStore::Clone> clones;
  for (const Adopted& task : tasks) clones.push_back({from(task), task.ref, &task.data});
  services_.store.clone_attempts(clones);
  for (const Adopted& task : tasks) {
    const TaskRef cloned = from(task);
    services_.reporter.print({ReportLine::Kind::task,
                              now(),
                              task.ref.path(),
                              {},
                              fmt::format("Cloning previously run task {}", cloned.path())});
    services_.metadata.clone_artifacts(task.ref, cloned, visible(task.data), now());
    std::vector<store::Field> fields{
        {"attempt", "0", ""}, {"attempt_ok", "True", "internal_attempt_status"}, {"attempt-done", "0", ""}};
    // Metaflow's client looks up what a clone refers to. The run first: it does not read a task that has the task of
    // its origin alone.
    if (options_.origin_is_known)
      fields.insert(fields.begin(), {{"origin-run-id", cloned.run, ""}, {"origin-task-id", cloned.task, ""}});
    services_.metadata.add_fields(task.ref, 0, fields);
    services_.journal.cloned(now(), task.ref, cloned);
    ++progress(task.work.step).done;
    ++progress(task.work.step).cloned;
    follow(task.work, task.ref, task.data);
  }
}

std::string Run::outlook() const {
  std::vector<std::string> cloned;
  std::vector<std::string> next;
  std::size_t clones = 0;
  const std::vector<std::size_t> waiting = frontier_.waiting();
  auto counted = [&](std::size_t step, std::size_t tasks) {
    const std::string& name = services_.graph.steps()[step].name;
    return tasks == 1 ? name : fmt::format("{} ({} tasks)", name, tasks);
  };
  for (int index : services_.graph.order()) {
    const auto step = static_cast<std::size_t>(index);
    clones += progress_[step].done;
    if (progress_[step].done > 0) cloned.push_back(counted(step, progress_[step].done));
    if (waiting[step] > 0) next.push_back(counted(step, waiting[step]));
  }
  const std::string first = clones == 0 ? "No task was cloned: none had finished."
                                        : fmt::format("{} task{} cloned: {}.", clones, clones == 1 ? " was" : "s were",
                                                      base::join(cloned, ", "));
  return fmt::format(
      "{} {}", first,
      next.empty() ? "Nothing is left to execute." : fmt::format("To execute next: {}.", base::join(next, ", ")));
}

}  // namespace metaflow::runtime
