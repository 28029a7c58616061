#include "runtime/cloner.h"

#include <string>
#include <utility>

#include "base/format.h"
#include "runtime/committer.h"
#include "runtime/task/bookkeeping.h"

namespace metaflow::runtime {

using store::TaskData;
using store::TaskRef;

namespace {

constexpr std::size_t kClonesAtATime = 64;  // read and written together; signals are handled between two batches

}  // namespace

Cloner::Cloner(const RunServices& services, const RunOptions& options, Frontier& frontier, NewTasks& tasks,
               RunReport& report, Origin& origin, Follow follow)
    : services_(services),
      options_(options),
      frontier_(frontier),
      tasks_(tasks),
      report_(report),
      origin_(origin),
      follow_(std::move(follow)) {}

void Cloner::clone(const std::function<bool()>& stopping) {
  while (!frontier_.empty() && !stopping()) {
    // Waits for a slow reader: the lines of millions of clones do not fit into the output queue.
    while (services_.reporter.congested() && !stopping()) services_.loop.run_once();
    if (stopping()) break;
    std::vector<Adopted> tasks = take_finished();
    for (Adopted& task : tasks) {
      if (!report_.progress(task.work.step).started) origin_.check_types(task.work.step, *task.finished, task.data);
      while (!tasks_.has_id(task.work.step, tasks.size()) && !stopping()) services_.loop.run_once();
      if (stopping()) break;
      task.ref = tasks_.make(task.work.step);
    }
    while (!services_.holds() && !stopping()) services_.loop.run_once();  // the loop wakes up when holds() changes
    if (stopping()) break;
    adopt(tasks);
    report_.flush();
    services_.loop.poll();
  }
  frontier_.restore();
  report_.flush();
}

/// Takes the tasks that can start from the frontier, up to kClonesAtATime, and returns those that the origin has
/// finished. Defers the others.
std::vector<Cloner::Adopted> Cloner::take_finished() {
  std::vector<Ready> works;
  std::vector<std::pair<int, const Origin::Finished*>> finished;
  while (!frontier_.empty() && works.size() < kClonesAtATime) {
    Ready work = frontier_.take();
    const Origin::Finished* found = origin_.find(work.step, frontier_.indices(work.position), work.iteration);
    if (found == nullptr) {
      frontier_.defer(std::move(work));
      continue;
    }
    finished.emplace_back(work.step, found);
    works.push_back(std::move(work));
  }
  std::vector<TaskData> data = origin_.read(finished);
  for (std::size_t i = 0; i < works.size(); ++i) find_items(works[i].position, data[i]);
  const auto damage = origin_.find_damage(data);
  std::vector<Adopted> tasks;
  for (std::size_t i = 0; i < works.size(); ++i) {
    if (damage[i]) {
      report_.print(ReportLine::Kind::run,
                    fmt::format("Task {}/{}/{} is rerun instead of cloned: {}.", origin_.run(),
                                services_.graph.step(works[i].step).name, finished[i].second->task, *damage[i]));
      frontier_.defer(std::move(works[i]));
    } else {
      if (origin_.has_renamed_next(works[i].step)) replace_transition(services_.store, data[i]);
      tasks.push_back({std::move(works[i]), finished[i].second, std::move(data[i])});
    }
  }
  return tasks;
}

/// A Python task behind an inner join no longer has the ranges of the outer foreachs. The tasks that split have them.
void Cloner::find_items(const Position& position, TaskData& data) const {
  if (data.has_details || data.items.size() < data.place.size()) return;
  std::size_t at = data.place.size();
  for (const Position* p = &position; p->split != nullptr && at > 0; p = &p->split->outer) {
    if (services_.graph.step(p->split->step).transition != detail::Transition::foreach) continue;
    if (!data.items[--at].key.empty()) continue;
    const std::optional<TaskData> split = services_.store.read_done(p->split->task);
    if (split && split->items.size() > at) data.items[at] = split->items[at];
  }
}

void Cloner::adopt(std::vector<Adopted>& tasks) {
  std::vector<store::FlowStore::Clone> clones;
  for (const Adopted& task : tasks)
    clones.push_back({{origin_.run(), task.ref.step, task.finished->task}, task.ref, &task.data});
  services_.store.clone_attempts(clones);
  // All get the same time: then most of their records are identical, and the store keeps one copy.
  const std::int64_t now = services_.clock.wall_microseconds();
  auto labels = read_labels(tasks);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    report_clone(tasks[i], clones[i].from, now);
    follow_(tasks[i].work, tasks[i].ref, tasks[i].data, std::move(labels[i]));
  }
}

/// The labels of the items of each task that yields a foreach; null for the others.
std::vector<std::shared_ptr<const store::ItemLabels>> Cloner::read_labels(const std::vector<Adopted>& tasks) const {
  std::vector<std::shared_ptr<const store::ItemLabels>> labels(tasks.size());
  std::vector<std::size_t> at;
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const store::ArtifactRecord* record = store::labels_record(tasks[i].data);
    if (record == nullptr) continue;
    at.push_back(i);
    paths.push_back(services_.store.value_path(record->key));
  }
  if (paths.empty()) return labels;
  auto blobs = services_.store.storage().get(paths);  // together, since each takes a request in S3
  for (std::size_t n = 0; n < at.size(); ++n)
    labels[at[n]] = store::read_labels(services_.store, *store::labels_record(tasks[at[n]].data), std::move(blobs[n]));
  return labels;
}

void Cloner::report_clone(const Adopted& task, const TaskRef& from, std::int64_t now) {
  ScheduledTask clone{.work = task.work,
                      .ref = task.ref,
                      .name = task.ref.path(),
                      .indices = frontier_.indices(task.work.position),
                      .label = frontier_.label(task.work.position)};
  report_.cloned(clone, from, now);
  services_.metadata.clone_artifacts(task.ref, from, visible(task.data), now);
  std::vector<store::Field> fields{{"attempt-done", "0", ""}};
  // Metaflow's client looks up the origin of a clone. `origin-run-id` comes first: the client does not accept an
  // `origin-task-id` alone.
  if (options_.origin_is_known)
    fields.insert(fields.begin(), {{"origin-run-id", from.run, ""}, {"origin-task-id", from.task, ""}});
  services_.metadata.add_fields(task.ref, 0, fields);
  services_.journal.cloned(services_.journal.now(), task.ref, from);
}

}  // namespace metaflow::runtime
