#include "runtime/run.h"

#include <thread>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::runtime {

using store::TaskRef;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kGrace = 5 * kSecond;          // between asking tasks to stop and killing them
constexpr std::int64_t kReportEvery = 300 * kSecond;  // Metaflow's progress lines
constexpr std::int64_t kSyncEvery = 30 * kSecond;     // what a power loss can cost
constexpr std::int64_t kStatusEvery = kSecond / 10;   // the live view
constexpr std::size_t kLiveLines = 8;
constexpr std::size_t kWide = 24;  // a step with more tasks is watched by the live view, not line by line
constexpr std::size_t kInputsOnCommandLine = 100;
constexpr std::size_t kMostEnded = 64;  // attempts that the store has not taken yet; no more are started then

}  // namespace

Run::Run(RunServices services, RunOptions options, const TaskRef& parameters)
    : services_(services),
      options_(std::move(options)),
      run_id_(parameters.run),
      frontier_(services.graph, options_.max_num_splits,
                [this](int step, std::size_t tasks) {
                  progress(step).expected += tasks;
                  services_.journal.expect(now(), services_.graph.step(step).name, tasks);
                  services_.metadata.expect_tasks(run_id_, services_.graph.step(step).name, tasks);
                }),
      log_stamps_(services.clock),
      progress_(services.graph.steps().size()) {
  for (const graph::Step& step : services.graph.steps()) policies_.push_back(policy_of(step.decorators));
  frontier_.begin(parameters);
}

void Run::mark_remote(const std::vector<std::string>& steps, std::string code_package) {
  remote_.assign(services_.graph.steps().size(), false);
  for (const std::string& step : steps) remote_[static_cast<std::size_t>(services_.graph.find(step))] = true;
  code_package_ = std::move(code_package);
}

Run::~Run() {
  for (const Repeated& repeated : repeated_) services_.loop.cancel(repeated.timer);
  for (const auto& [timer, task] : pausing_) services_.loop.cancel(timer);
  if (patience_) services_.loop.cancel(*patience_);
  if (farewell_) services_.loop.cancel(*farewell_);
}

void Run::say(ReportLine::Kind kind, std::string_view text) { services_.reporter.print({kind, now(), {}, {}, text}); }

void Run::say(const Task& task, std::string_view text, ReportLine::Kind kind) {
  const bool minor = kind == ReportLine::Kind::task && progress(task.work.step).expected > kWide;
  services_.reporter.print({kind, now(), task.name, task.where, text, minor});
}

std::vector<compute::AttemptId> Run::running_ids() const {
  std::vector<compute::AttemptId> ids;
  for (const auto& [id, task] : running_) ids.push_back(id);
  return ids;
}

void Run::execute(compute::Backend& backend) {
  backend_ = &backend;
  try {
    execute_all();
  } catch (...) {  // the store, most likely: nothing may go on that nobody looks after
    services_.reporter.show_status({});
    services_.reporter.flush();
    backend.stop(running_ids(), compute::Stop::force);
    backend.end();
    throw;
  }
  backend.end();
  conclude();
}

void Run::execute_all() {
  repeat(kSecond, [this] { show_progress(); });  // also while nothing happens
  repeat(kReportEvery, [this] {
    for (const std::string& line : progress_report(services_.graph, progress_)) say(ReportLine::Kind::run, line);
  });
  const std::string root = options_.local_root;
  std::jthread syncing;
  std::int64_t synced_at = services_.clock.monotonic_microseconds();
  while (true) {
    launch();
    services_.journal.flush();  // first: who has read that something began finds it there
    services_.reporter.flush();
    if (regulate_output()) continue;  // what was held can start
    if (running_.empty() && impatient_ && !settled()) {
      if (!ended_.empty())
        say(ReportLine::Kind::failure,
            fmt::format("The store has not taken {} task{} that had ended: resume executes {} again.", ended_.size(),
                        ended_.size() == 1 ? "" : "s", ended_.size() == 1 ? "it" : "them"));
      break;
    }
    if (settled() && (stopping() || (frontier_.empty() && again_.empty() && pausing_.empty()))) break;
    services_.loop.run_once();
    show_progress();
    if (services_.clock.monotonic_microseconds() - synced_at > kSyncEvery) {
      syncing = std::jthread([root] { base::sync_file_system(root); });  // waits for the one before
      synced_at = services_.clock.monotonic_microseconds();
    }
  }
  services_.reporter.show_status({});
}

void Run::conclude() {
  const auto how = interrupted_                     ? store::RunEnd::interrupted
                   : failure_ || !frontier_.ended() ? store::RunEnd::failed
                                                    : store::RunEnd::done;
  services_.journal.run_ends(now(), how, interrupted_ ? *interrupted_ : failure_.value_or(""));
  services_.journal.flush();
  base::sync_file_system(options_.local_root);
  finish_metadata();
  if (stopping()) {
    if (stopped_tasks_ > 0) {
      say(ReportLine::Kind::run,
          fmt::format("{} running task{} stopped{}.", stopped_tasks_, stopped_tasks_ == 1 ? " was" : "s were",
                      interrupted_ ? "" : " because of it"));
    }
    say(ReportLine::Kind::run, "Flushing logs...");
    services_.reporter.flush();
    if (interrupted_) throw Error(ErrorCode::interrupted, *interrupted_);
    throw Error(ErrorCode::step_failure, *failure_);
  }
  if (!frontier_.ended()) {
    throw Error(ErrorCode::internal, fmt::format("The terminal step {} was not successful by the end of flow.",
                                                 services_.graph.step(services_.graph.end()).name));
  }
  say(ReportLine::Kind::run, "Done!");
  services_.reporter.flush();
}

/// What is still on its way to a metadata service.
void Run::finish_metadata() {
  if (services_.metadata.idle()) return;
  services_.reporter.flush();
  finishing_ = true;
  if (farewell_) services_.loop.cancel(*farewell_);
  impatient_ = false;
  while (!services_.metadata.idle() && !impatient_) services_.loop.run_once();
  if (services_.metadata.idle()) return;
  say(ReportLine::Kind::failure,
      "Workflow interrupted before the metadata service had taken all. Its tasks had ended.");
  services_.reporter.flush();
  throw Error(ErrorCode::interrupted, "interrupted");
}

// --- starting tasks

bool Run::has_room(int step) const { return backend_->has_room(services_.graph.step(step).name); }

/// Whether the metadata has an id for a task of the step. If not, the loop wakes up when it has.
bool Run::has_id(int step, std::size_t soon) {
  return services_.metadata.ready(run_id_, services_.graph.step(step).name, soon);
}

/// In order: what does not fit now holds up what comes after it, or a task that needs the whole machine would never get
/// it.
void Run::launch() {
  awaits_id_ = false;
  while (!stopping() && !held_ && running_.size() < options_.max_workers &&
         ended_.size() + storing_.size() < kMostEnded) {
    if (!again_.empty()) {
      if (!has_room(again_.front().work.step)) return;
      Task task = std::move(again_.front());
      again_.pop_front();
      start_attempt(std::move(task));
    } else if (!frontier_.empty() && has_room(frontier_.next_step())) {
      awaits_id_ = !has_id(frontier_.next_step(), options_.max_workers - running_.size());
      if (awaits_id_) return;
      start_task(frontier_.take());
    } else {
      return;
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

void Run::start_task(Ready work) {
  TaskRef ref = new_task(work.step);
  std::string name = ref.path();
  start_attempt(Task{.work = std::move(work),
                     .ref = std::move(ref),
                     .name = std::move(name),
                     .where = {},
                     .log = {},
                     .failure_type = {},
                     .failure = {}});
}

void Run::start_attempt(Task task) {
  if (task.work.inputs.size() > kInputsOnCommandLine && !task.inputs_stored) return store_inputs(std::move(task));
  const std::size_t step = static_cast<std::size_t>(task.work.step);
  task.log.emplace(log_stamps_, options_.max_log_size * 1'000'000);
  task.last_line.clear();
  const bool elsewhere = !remote_.empty() && remote_[step] && !policy(task).is_fallback(task.attempt);
  const store::Storage& storage = services_.store.storage();
  std::vector<store::Field> fields{{"ds-type", std::string(storage.type()), ""}, {"ds-root", storage.root(), ""}};
  if (task.attempt > 0) fields.push_back({"attempt", std::to_string(task.attempt), ""});
  if (!options_.origin_run.empty() && task.attempt == 0) fields.push_back({"origin-run-id", options_.origin_run, ""});
  if (std::string path = frontier_.execution_path(task.work.position); !path.empty() && task.attempt == 0)
    fields.push_back({"foreach-execution-path", std::move(path), ""});
  if (elsewhere && task.attempt == 0 && !code_package_.empty()) fields.push_back({"code-package", code_package_, ""});
  services_.metadata.add_fields(task.ref, task.attempt, fields);
  services_.metadata.attempt_begins(task.ref, task.attempt);

  const compute::Attempt attempt = describe_attempt(task);
  task.begun = elsewhere;  // there the supervisor does it, when the attempt begins indeed
  StepProgress& at = progress(task.work.step);
  ++at.running;
  if (at.began == 0) at.began = services_.clock.monotonic_microseconds();
  running_.emplace(attempt.id, std::move(task));
  if (!elsewhere) mark_begun(attempt.id);
  backend_->submit(attempt);
}

/// Before the task starts, which reads them.
void Run::store_inputs(Task task) {
  const compute::AttemptId id = next_attempt_++;
  task.inputs_stored = true;
  std::vector<store::OwnedObject> objects{services_.store.inputs(task.ref, compute::pack_inputs(task.work.inputs))};
  storing_.emplace(id, std::move(task));
  services_.background.put(std::move(objects),
                           [this, id] { again_.push_front(std::move(storing_.extract(id).mapped())); });
}

/// While its process starts; there before it is committed.
void Run::mark_begun(compute::AttemptId attempt) {
  const Task& task = running_.at(attempt);
  services_.background.put({services_.store.begin_mark(task.ref, task.attempt, now())}, [this, attempt] {
    if (const auto found = running_.find(attempt); found != running_.end()) {
      found->second.begun = true;
    } else {
      progressed(attempt);
    }
  });
}

/// With an attempt more for each that does not count.
AttemptPolicy Run::policy(const Task& task) const {
  AttemptPolicy policy = policies_[static_cast<std::size_t>(task.work.step)];
  policy.retries += task.lost;
  return policy;
}

compute::Attempt Run::describe_attempt(const Task& task) {
  const graph::Step& step = services_.graph.step(task.work.step);
  const AttemptPolicy limits = policy(task);
  const store::Storage& storage = services_.store.storage();
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
  attempt.step.max_user_code_retries = limits.retries;
  if (limits.is_fallback(task.attempt)) {
    attempt.step.failure_type = task.failure_type;
    attempt.step.failure = task.failure;
  } else {
    attempt.time_limit = limits.time_limit;
  }
  attempt.step.name_space = options_.name_space;
  attempt.step.branch = options_.branch;
  attempt.step.origin_run_id = options_.origin_run;
  attempt.step.tags = options_.tags;
  if (attempt.step.inputs.size() > kInputsOnCommandLine) {
    attempt.step.inputs_stored = true;
    attempt.step.inputs.clear();
  }
  if (const auto variables = graph::find_decorator<environment>(step.decorators)) {
    for (const auto& [name, value] : variables->vars) attempt.environment.push_back(name + "=" + value);
  }
  return attempt;
}

void Run::on_started(compute::AttemptId attempt, const std::string& where) {
  Task& task = running_.at(attempt);
  task.where = where;
  const bool fallback = policy(task).is_fallback(task.attempt);
  say(task, fallback           ? "Task fallback is starting to handle the failure."
            : task.attempt > 0 ? "Task is starting (retry)."
                               : "Task is starting.");
  services_.journal.attempt_begins(
      now(), {task.ref, task.attempt, fallback, where,
              task.work.inputs.size() > kInputsOnCommandLine ? "" : compute::pack_inputs(task.work.inputs),
              task.work.split_index, task.work.joined_split});
}

void Run::on_notice(std::span<const compute::AttemptId> attempts, std::string_view text, bool usual) {
  const Task& first = running_.at(attempts.front());
  constexpr std::size_t kFew = 3;
  if (usual || (attempts.size() <= kFew && progress(first.work.step).expected <= kWide)) {
    for (const compute::AttemptId attempt : attempts) say(running_.at(attempt), text);
  } else {
    say(ReportLine::Kind::run, fmt::format("{} task{} of step {}: {}", attempts.size(), attempts.size() == 1 ? "" : "s",
                                           first.ref.step, text));
  }
}

// --- stopping

void Run::fail(const std::string& why) {
  failure_ = why;
  say(ReportLine::Kind::failure, "Workflow failed.");
  stop_all();
}

void Run::interrupt(const std::string& why) {
  if (finishing_) {
    impatient_ = true;
    return;
  }
  if (interrupted_) {  // again: no more patience
    if (running_.empty()) impatient_ = true;
    killed_ = true;
    if (backend_ != nullptr) backend_->stop(running_ids(), compute::Stop::force);
    return;
  }
  interrupted_ = why;
  say(ReportLine::Kind::failure, why);
  if (!failure_) stop_all();
}

void Run::stop_all() {
  say(ReportLine::Kind::run,
      fmt::format("Terminating {} active task{}...", running_.size(), running_.size() == 1 ? "" : "s"));
  for (auto& [id, task] : running_) {
    task.stopped = true;
  }
  if (backend_ == nullptr) return;
  backend_->stop(running_ids(), compute::Stop::ask);
  patience_ = services_.loop.after(kGrace, [this] {
    if (running_.empty()) return;
    say(ReportLine::Kind::run,
        fmt::format("Killing {} remaining tasks after having waited for 5 seconds -- some tasks may not exit cleanly",
                    running_.size()));
    backend_->stop(running_ids(), compute::Stop::force);
  });
}

// --- progress

void Run::show_progress() {
  const std::int64_t monotonic = services_.clock.monotonic_microseconds();
  if (monotonic - shown_at_ < kStatusEvery) return;
  shown_at_ = monotonic;
  services_.reporter.show_status(live_view(services_.graph, progress_, monotonic, kLiveLines));
}

void Run::repeat(std::int64_t period, std::function<void()> what) {
  arm(repeated_.emplace_back(Repeated{period, std::move(what), 0}));
}

void Run::arm(Repeated& repeated) {
  repeated.timer = services_.loop.after(repeated.period, [this, &repeated] {
    repeated.what();
    arm(repeated);
  });
}

}  // namespace metaflow::runtime
