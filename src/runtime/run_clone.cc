// The part of a run that executes nothing: what its origin has finished is taken over.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "runtime/run.h"

namespace metaflow::runtime {

using store::TaskData;
using store::TaskRef;

namespace {

constexpr std::size_t kClonesAtATime = 64;  // between looks at signals

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
  std::size_t clones = 0;
  while (!frontier_.empty() && !stopping()) {
    Ready work = frontier_.take();
    const Origin::Finished* finished = origin.find(work.step, frontier_.indices(work.position), work.iteration);
    if (finished == nullptr) {
      frontier_.defer(std::move(work));
      continue;
    }
    TaskData data = origin.read(work.step, *finished);
    find_items(work.position, data);
    if (const auto damage = origin.find_damage(data)) {
      say(ReportLine::Kind::run, fmt::format("Task {}/{}/{} is executed again instead of cloned: {}.", origin.run(),
                                             services_.graph.step(work.step).name, finished->task, *damage));
      frontier_.defer(std::move(work));
      continue;
    }
    if (!progress(work.step).started) origin.check_types(work.step, *finished, data);
    while (!has_id(work.step, kClonesAtATime) && !stopping()) services_.loop.run_once();
    if (stopping()) break;
    adopt(work, origin, *finished, data);
    if (++clones % kClonesAtATime == 0) {
      services_.reporter.flush();
      services_.journal.flush();
      services_.loop.poll();
    }
  }
  frontier_.restore();
  services_.reporter.flush();
  services_.journal.flush();
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

void Run::adopt(const Ready& work, const Origin& origin, const Origin::Finished& finished, const TaskData& data) {
  const TaskRef ref = new_task(work.step);
  const TaskRef from{origin.run(), ref.step, finished.task};
  services_.reporter.print(
      {ReportLine::Kind::task, now(), ref.path(), {}, fmt::format("Cloning previously run task {}", from.path())});
  services_.store.clone_attempt(from, data, ref);
  services_.metadata.clone_artifacts(ref, from, visible(data), now());
  std::vector<store::Field> fields{
      {"attempt", "0", ""}, {"attempt_ok", "True", "internal_attempt_status"}, {"attempt-done", "0", ""}};
  // Metaflow's client looks up what a clone refers to. The run first: it does not read a task that has the task of its
  // origin alone.
  if (options_.origin_is_known)
    fields.insert(fields.begin(), {{"origin-run-id", from.run, ""}, {"origin-task-id", from.task, ""}});
  services_.metadata.add_fields(ref, 0, fields);
  services_.journal.cloned(now(), ref, from);
  ++progress(work.step).done;
  ++progress(work.step).cloned;
  follow(work, ref, data);
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
