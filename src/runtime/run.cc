#include "runtime/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/text.h"
#include "runtime/task/task.h"

namespace metaflow::runtime {

using detail::Transition;
using store::TaskData;
using store::TaskRef;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kGrace = 5 * kSecond;          // between asking tasks to stop and killing them
constexpr std::int64_t kReportEvery = 300 * kSecond;  // Metaflow's progress lines
constexpr std::int64_t kSyncEvery = 30 * kSecond;     // what a power loss can cost
constexpr std::int64_t kStatusEvery = kSecond / 10;   // the line at the bottom of a terminal
constexpr std::size_t kInputsOnCommandLine = 100;

/// Names in data.json that are no artifacts for the clients: `resume` needs them, people do not.
bool is_internal(std::string_view name) {
  return name == "_transition" || name == "_iteration_stack" || name == "_current_step" || name == "_foreach_var" ||
         name == "_foreach_num_splits" || name == "_foreach_values";
}

}  // namespace

Run::Run(RunServices services, RunOptions options, std::string run_id)
    : services_(services),
      options_(std::move(options)),
      run_id_(std::move(run_id)),
      log_stamps_(services.clock),
      progress_(services.graph.steps().size()) {}

Run::~Run() {
  for (auto timer : timers_) services_.loop.cancel(timer);
}

void Run::say(ReportLine::Kind kind, std::string_view text) {
  services_.reporter.print({kind, services_.clock.wall_microseconds(), {}, {}, text});
}

void Run::say(const Task& task, std::string_view text) {
  services_.reporter.print({ReportLine::Kind::task, services_.clock.wall_microseconds(), task.name, task.where, text});
}

void Run::execute(compute::Backend& backend) {
  backend_ = &backend;
  try {
    execute_all();
  } catch (...) {  // the store, most likely: nothing may go on that nobody looks after
    services_.reporter.show_status("");
    services_.reporter.flush();
    std::vector<compute::AttemptId> left;
    for (const auto& [id, task] : running_) left.push_back(id);
    backend.stop(left, compute::Stop::force);
    backend.end();
    throw;
  }
  backend.end();
  conclude();
}

void Run::execute_all() {
  const graph::Graph& graph = services_.graph;
  queue_.emplace_back(Ready{graph.start(), {{run_id_, "_parameters", "0"}}, {}, std::nullopt, {}});
  progress(graph.start()).expected = 1;
  every_five_minutes();

  const std::string root = services_.store.storage().root();
  std::jthread syncing;
  std::int64_t synced_at = services_.clock.monotonic_microseconds();
  while (!running_.empty() || (!queue_.empty() && !stopping())) {
    launch();
    services_.reporter.flush();
    if (running_.empty()) continue;  // launching failed or stopped the run
    services_.loop.run_once();
    show_progress();
    if (services_.clock.monotonic_microseconds() - synced_at > kSyncEvery) {
      syncing = std::jthread([root] { base::sync_file_system(root); });  // waits for the one before
      synced_at = services_.clock.monotonic_microseconds();
    }
  }
  services_.reporter.show_status("");
}

void Run::conclude() {
  base::sync_file_system(services_.store.storage().root());
  if (stopping()) {
    if (stopped_tasks_ > 0) {
      say(ReportLine::Kind::run, fmt::format("{} running task{} stopped because of it.", stopped_tasks_,
                                             stopped_tasks_ == 1 ? " was" : "s were"));
    }
    say(ReportLine::Kind::run, "Flushing logs...");
    services_.reporter.flush();
    if (interrupted_) throw Error(ErrorCode::interrupted, *interrupted_);
    if (failure_) throw Error(ErrorCode::step_failure, *failure_);
  }
  if (!ended_) {
    throw Error(ErrorCode::internal, fmt::format("The terminal step {} was not successful by the end of flow.",
                                                 services_.graph.step(services_.graph.end()).name));
  }
  say(ReportLine::Kind::run, "Done!");
  services_.reporter.flush();
}

// --- starting tasks

void Run::launch() {
  while (!stopping() && !queue_.empty() && running_.size() < options_.max_workers) {
    if (auto* fan_out = std::get_if<FanOut>(&queue_.front())) {
      const auto split = fan_out->split;
      const std::size_t item = fan_out->next++;
      Ready work{fan_out->step, {split->task}, Position{split, item}, item, {}};
      if (fan_out->next == split->branches) queue_.pop_front();
      start_task(std::move(work));
    } else {
      Ready work = std::move(std::get<Ready>(queue_.front()));
      queue_.pop_front();
      start_task(std::move(work));
    }
  }
}

TaskRef Run::new_task(int step) {
  const std::string& name = services_.graph.step(step).name;
  if (!progress(step).started) {
    services_.metadata.new_step(run_id_, name);
    progress(step).started = true;
  }
  return {run_id_, name, services_.metadata.new_task(run_id_, name)};
}

/// "a:0,b:2": the foreachs around a task, outermost first, each by the step it fans out to and the item.
std::string Run::execution_path(const Position& position) const {
  std::string path;
  for (const Position* at = &position; at->split != nullptr; at = &at->split->outer) {
    const graph::Step& step = services_.graph.step(at->split->step);
    if (step.transition != Transition::foreach) continue;
    path = fmt::format("{}:{}{}{}", services_.graph.step(step.next[0]).name, at->branch, path.empty() ? "" : ",", path);
  }
  return path;
}

void Run::start_task(Ready work) {
  const graph::Step& step = services_.graph.step(work.step);
  TaskRef ref = new_task(work.step);
  Task task{std::move(work), std::move(ref), 0, {}, {}, TaskLog(log_stamps_, options_.max_log_size * 1'000'000), false};
  task.name = task.ref.path();

  services_.store.begin_attempt(task.ref, task.attempt, services_.clock.wall_microseconds());
  const store::Storage& storage = services_.store.storage();
  std::vector<store::Field> fields{{"ds-type", std::string(storage.type()), ""}, {"ds-root", storage.root(), ""}};
  if (std::string path = execution_path(task.work.position); !path.empty())
    fields.push_back({"foreach-execution-path", std::move(path), ""});
  services_.metadata.add_fields(task.ref, task.attempt, fields);

  compute::Attempt attempt;
  attempt.id = next_attempt_++;
  attempt.step.datastore = storage.type();
  attempt.step.datastore_root = storage.root();
  attempt.step.with = options_.with;
  attempt.step.step = step.name;
  attempt.step.run = run_id_;
  attempt.step.task = task.ref.task;
  attempt.step.inputs = task.work.inputs;
  attempt.step.split = task.work.joined_split;
  attempt.step.split_index = task.work.split_index;
  attempt.step.retry_count = task.attempt;
  attempt.step.name_space = options_.name_space;
  attempt.step.tags = options_.tags;
  if (attempt.step.inputs.size() > kInputsOnCommandLine) {
    attempt.inputs_file = fmt::format("{}/{}/{}/inputs.txt", storage.root(), services_.store.flow(), task.ref.path());
    base::create_file(attempt.inputs_file, compute::pack_inputs(attempt.step.inputs));
  }
  if (const auto variables = graph::find_decorator<environment>(step.decorators)) {
    for (const auto& [name, value] : variables->vars) attempt.environment.push_back(name + "=" + value);
  }
  ++progress(task.work.step).running;
  const compute::AttemptId id = attempt.id;
  running_.emplace(id, std::move(task));
  backend_->submit(std::span(&attempt, 1));
}

void Run::on_started(compute::AttemptId attempt, const std::string& where) {
  Task& task = running_.at(attempt);
  task.where = where;
  say(task, "Task is starting.");
}

void Run::on_output(compute::AttemptId attempt, store::Stream stream, std::string_view bytes) {
  Task& task = running_.at(attempt);
  task.log.add(stream, bytes, [&](std::string_view text, std::int64_t time) {
    services_.reporter.print({ReportLine::Kind::output, time, task.name, task.where, text});
  });
}

// --- finished tasks

void Run::on_finished(compute::AttemptId attempt, const compute::Verdict& verdict) {
  auto node = running_.extract(attempt);
  Task& task = node.mapped();
  --progress(task.work.step).running;
  task.log.finish([&](std::string_view text, std::int64_t time) {
    services_.reporter.print({ReportLine::Kind::output, time, task.name, task.where, text});
  });

  const std::optional<TaskData> data = services_.store.read_attempt(task.ref, task.attempt);
  if (verdict.exited_well && data && data->ok) {
    task.log.save(services_.store, task.ref, task.attempt);
    commit(task, *data);
    ++progress(task.work.step).done;
    if (data->splits) say(task, fmt::format("Foreach yields {} child steps.", *data->splits));
    say(task, "Task finished successfully.");
    follow(task, *data);
    return;
  }

  ++progress(task.work.step).failed;
  const bool threw = verdict.exited && data && !data->ok;
  if (task.stopped) {
    ++stopped_tasks_;
    task.log.note(store::Stream::err, "[KILLED BY ORCHESTRATOR]");
  } else {
    if (!threw) {
      std::string cause = verdict.cause;
      if (data && data->ok) cause += " Its step had finished: it died in exit(), perhaps in a static destructor.";
      say(task, cause);
      task.log.note(store::Stream::err, cause);
    }
    say(task, "Task failed.");
    task.log.note(store::Stream::err, "Task failed.");
  }
  task.log.save(services_.store, task.ref, task.attempt);
  if (threw) commit(task, *data);  // what it had set when it threw; marked as not ok
  if (!task.stopped) fail(task, "");
}

/// Makes what the attempt left visible. Its process has ended, so nothing can go wrong with it any more.
void Run::commit(Task& task, const TaskData& data) {
  const std::int64_t now = services_.clock.wall_microseconds();
  services_.store.mark_done(task.ref, task.attempt);
  TaskData visible = data;
  std::erase_if(visible.artifacts, [](const store::ArtifactRecord& artifact) { return is_internal(artifact.name); });
  services_.metadata.add_artifacts(task.ref, visible, now);
  services_.metadata.add_fields(task.ref, task.attempt, {{"attempt-done", std::to_string(task.attempt), ""}});
}

void Run::follow(const Task& task, const TaskData& data) {
  const graph::Graph& graph = services_.graph;
  const graph::Step& step = graph.step(task.work.step);
  const Position& position = task.work.position;
  if (step.transition == Transition::none) {
    ended_ = true;
    return;
  }
  if (step.transition == Transition::foreach || step.transition == Transition::split) {
    auto split = std::make_shared<Split>();
    split->step = task.work.step;
    split->task = task.ref;
    split->outer = position;
    split->branches = step.transition == Transition::split ? step.next.size() : data.splits.value_or(0);
    if (step.transition == Transition::foreach) {
      progress(step.next[0]).expected += split->branches;
      if (split->branches > options_.max_num_splits) {
        return fail(task, fmt::format(": Foreach in step {} yielded {} child steps which is more than the current "
                                      "maximum of {} children. You can raise "
                                      "the maximum with the --max-num-splits option.",
                                      step.name, split->branches, options_.max_num_splits));
      }
      split->arrived.reserve(split->branches);
      queue_.emplace_back(FanOut{split, step.next[0]});
      return;
    }
    for (std::size_t branch = 0; branch < step.next.size(); ++branch) {
      ++progress(step.next[branch]).expected;
      queue_.emplace_back(Ready{step.next[branch], {task.ref}, Position{split, branch}, std::nullopt, {}});
    }
    return;
  }
  const int next = data.next.empty() ? -1 : graph.find(data.next[0]);
  if (next < 0) return fail(task, ": it does not say which step follows.");
  if (graph.step(next).join) return arrive(position, task.work.step, task.ref, next);
  ++progress(next).expected;
  queue_.emplace_back(Ready{next, {task.ref}, position, std::nullopt, {}});
}

void Run::arrive(const Position& position, int step, const TaskRef& task, int join) {
  Split& split = *position.split;
  split.arrived.push_back({position.branch, step, task.task});
  if (split.arrived.size() < split.branches) return;
  std::sort(split.arrived.begin(), split.arrived.end(),
            [](const auto& a, const auto& b) { return a.branch < b.branch; });
  Ready work{join, {}, split.outer, std::nullopt, split.task.path()};
  work.inputs.reserve(split.arrived.size());
  for (const Split::Arrival& arrival : split.arrived)
    work.inputs.push_back({run_id_, services_.graph.step(arrival.step).name, arrival.task});
  ++progress(join).expected;
  queue_.emplace_back(std::move(work));
}

// --- stopping

void Run::fail(const Task& task, const std::string& more) {
  if (stopping()) return;  // the first failure is the one to tell
  failure_ = fmt::format("Step {} (task-id {}) failed{}", task.ref.step, task.ref.task, more.empty() ? "." : more);
  say(ReportLine::Kind::failure, "Workflow failed.");
  stop_all();
}

void Run::interrupt(const std::string& why) {
  if (interrupted_) {  // again: no more patience
    std::vector<compute::AttemptId> left;
    for (const auto& [id, task] : running_) left.push_back(id);
    backend_->stop(left, compute::Stop::force);
    return;
  }
  interrupted_ = why;
  say(ReportLine::Kind::failure, why);
  if (!failure_) stop_all();
}

void Run::stop_all() {
  say(ReportLine::Kind::run,
      fmt::format("Terminating {} active task{}...", running_.size(), running_.size() == 1 ? "" : "s"));
  std::vector<compute::AttemptId> left;
  for (auto& [id, task] : running_) {
    left.push_back(id);
    task.stopped = true;
    say(task, "[KILLED BY ORCHESTRATOR]");
  }
  backend_->stop(left, compute::Stop::ask);
  timers_.push_back(services_.loop.after(kGrace, [this] {
    if (running_.empty()) return;
    say(ReportLine::Kind::run,
        fmt::format("Killing {} remaining tasks after having waited for 5 seconds -- some tasks may not exit cleanly",
                    running_.size()));
    std::vector<compute::AttemptId> stubborn;
    for (const auto& [id, task] : running_) stubborn.push_back(id);
    backend_->stop(stubborn, compute::Stop::force);
  }));
}

// --- progress

void Run::show_progress() {
  const std::int64_t now = services_.clock.monotonic_microseconds();
  if (now - shown_at_ < kStatusEvery) return;
  shown_at_ = now;
  std::string status;
  for (int index : services_.graph.order()) {
    const Progress& at = progress(index);
    if (at.running == 0 || at.expected < 2) continue;
    status += fmt::format("{}{}: {} of {} done, {} running", status.empty() ? "" : "   ",
                          services_.graph.step(index).name, at.done, at.expected, at.running);
    if (at.failed > 0) status += fmt::format(", {} failed", at.failed);
  }
  services_.reporter.show_status(std::move(status));
}

void Run::every_five_minutes() {
  timers_.push_back(services_.loop.after(kReportEvery, [this] {
    std::vector<std::string> active;
    std::vector<std::string> waiting;
    std::size_t queued = 0;
    for (int index : services_.graph.order()) {
      const Progress& at = progress(index);
      const std::string& name = services_.graph.step(index).name;
      if (at.running > 0) active.push_back(fmt::format("{} ({} running; {} done)", name, at.running, at.done));
      if (!at.started) waiting.push_back(name);
      queued += at.expected - std::min(at.expected, at.running + at.done + at.failed);
    }
    auto tasks = [](std::size_t n) {
      return n == 0 ? "No tasks are" : n == 1 ? "1 task is" : fmt::format("{} tasks are", n);
    };
    say(ReportLine::Kind::run,
        fmt::format("{} running{}{}.", tasks(running_.size()), active.empty() ? "" : ": ", base::join(active, ", ")));
    say(ReportLine::Kind::run, fmt::format("{} waiting in the queue.", tasks(queued)));
    if (!waiting.empty()) {
      say(ReportLine::Kind::run, waiting.size() == 1 ? fmt::format("{} step has not started", waiting[0])
                                                     : fmt::format("{} steps have not started: {}.", waiting.size(),
                                                                   base::join(waiting, ", ")));
    }
    every_five_minutes();
  }));
}

}  // namespace metaflow::runtime
