#include "runtime/run.h"

#include <memory>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "runtime/cloner.h"

namespace metaflow::runtime {

using store::TaskData;
using store::TaskRef;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kGrace = 5 * kSecond;          // between asking tasks to stop and killing them
constexpr std::int64_t kShutdownLimit = kSecond / 2;  // how long store and tasks have after the second interrupt
constexpr std::int64_t kSyncEvery = 30 * kSecond;     // the most work that a power loss can cost
constexpr std::size_t kMaxUncommitted = 64;  // attempts that are not committed yet; beyond this no more are started

/// Syncs the file system regularly. A disk may take minutes for it: the loop does not wait, and starts no second sync
/// meanwhile.
class RegularSync {
 public:
  explicit RegularSync(const RunServices& services)
      : services_(services), synced_at_(services.clock.monotonic_microseconds()) {}

  void if_due() {
    if (*syncing_ || services_.clock.monotonic_microseconds() - synced_at_ <= kSyncEvery) return;
    synced_at_ = services_.clock.monotonic_microseconds();
    *syncing_ = true;
    services_.sync_disk([syncing = syncing_] { *syncing = false; });
  }

 private:
  const RunServices& services_;
  std::int64_t synced_at_;
  std::shared_ptr<bool> syncing_ = std::make_shared<bool>(false);
};

}  // namespace

Run::Run(RunServices services, RunOptions options, const TaskRef& parameters)
    : services_(services),
      options_(std::move(options)),
      report_(services_),
      frontier_(services.graph, options_.max_num_splits, options_.command,
                [this](int step, std::size_t tasks) {
                  const std::string& name = services_.graph.step(step).name;
                  report_.expect(step, tasks);
                  services_.journal.expect(services_.journal.now(), name, tasks);
                  services_.metadata.expect_tasks(tasks_.run(), name, tasks);
                }),
      tasks_(services_, report_, parameters.run),
      launcher_(services_, options_, frontier_, tasks_, report_,
                [this](ScheduledTask task, const compute::Attempt& attempt) { start(std::move(task), attempt); }),
      committer_(services_, report_, [this](EndedAttempt&& ended) { on_committed(std::move(ended)); }),
      timers_(services.loop) {
  frontier_.begin(parameters);
}

Run::~Run() = default;

void Run::mark_remote(const std::vector<std::string>& steps, std::string code_package) {
  launcher_.mark_remote(steps, std::move(code_package));
}

void Run::clone(Origin& origin) {
  Cloner cloner(
      services_, options_, frontier_, tasks_, report_, origin,
      [this](const Ready& work, const TaskRef& task, const TaskData& data,
             std::shared_ptr<const store::ItemLabels> labels) { follow(work, task, data, std::move(labels)); });
  cloner.clone([this] { return stopping(); });
}

bool Run::await_hold() {
  while (!services_.holds() && !stopping()) services_.loop.run_once();  // the loop wakes up when holds() changes
  return !stopping();
}

std::string Run::outlook() const { return runtime::outlook(services_.graph, report_.progress(), frontier_.waiting()); }

void Run::execute(compute::Backend& backend) {
  backend_ = &backend;
  try {
    loop();
  } catch (...) {  // probably an error of the store: stop everything, since nothing is watched any more
    report_.end();
    services_.reporter.flush();
    backend.stop(running_ids(), compute::Stop::force);
    backend.end(killed_ ? compute::Stop::force : compute::Stop::ask);
    throw;
  }
  backend.end(killed_ ? compute::Stop::force : compute::Stop::ask);
  conclude();
}

void Run::loop() {
  report_.begin();
  const base::EventLoop::NoWaiting no_waiting(services_.loop);
  RegularSync sync(services_);
  while (true) {
    launch();
    report_.flush();
    if (regulate_output()) continue;  // held tasks can start
    if (is_over()) break;
    services_.loop.run_once();
    report_.refresh();
    sync.if_due();
  }
  report_abandoned();
  report_.end();
}

bool Run::is_over() const {
  if (!may_wait_) return true;
  if (!running_.empty()) return false;
  if (lost_) return true;  // attempts that have ended stay uncommitted
  if (committer_.size() > 0 || launcher_.storing() > 0) return false;
  return stopping() || launcher_.empty();
}

void Run::report_abandoned() {
  if (const std::size_t tasks = committer_.size(); tasks > 0) {
    report_.print(ReportLine::Kind::failure,
                  fmt::format("{} finished task{} could not be committed. `resume` will rerun {}.", tasks,
                              tasks == 1 ? "" : "s", tasks == 1 ? "it" : "them"));
  }
  if (const std::size_t tasks = running_.size(); tasks > 0) {
    report_.print(ReportLine::Kind::failure,
                  fmt::format("Stopped waiting for {} running task{}. `resume` will check {} state.", tasks,
                              tasks == 1 ? "" : "s", tasks == 1 ? "its" : "their"));
  }
}

void Run::conclude() {
  const auto how = interrupted_ || lost_            ? store::RunEnd::interrupted
                   : failure_ || !frontier_.ended() ? store::RunEnd::failed
                                                    : store::RunEnd::done;
  const std::string why = lost_ ? lost_->message() : interrupted_ ? *interrupted_ : failure_.value_or("");
  services_.journal.run_ends(services_.journal.now(), how, why);
  services_.journal.flush();
  finishing_ = true;
  may_wait_ = !killed_;
  const base::EventLoop::NoWaiting no_waiting(services_.loop);
  finish_disk();
  if (!lost_) finish_metadata();
  if (lost_) {
    end_report(how, why);
    throw Error(*lost_);
  }
  if (stopping()) {
    if (const std::size_t tasks = report_.totals().stopped; tasks > 0) {
      report_.print_text(ReportLine::Kind::run,
                         fmt::format("{} running task{} stopped{}.", tasks, tasks == 1 ? " was" : "s were",
                                     interrupted_ ? "" : " because of the failure"));
    }
    end_report(how, why);
    if (interrupted_) throw Error(ErrorCode::interrupted, *interrupted_);
    throw Error(ErrorCode::step_failure, *failure_);
  }
  if (!frontier_.ended()) {
    const Error error(ErrorCode::internal, fmt::format("The terminal step {} was not successful by the end of flow.",
                                                       services_.graph.step(services_.graph.end()).name));
    end_report(how, error.message());
    throw Error(error);
  }
  end_report(how, "");
}

/// Prints the last lines. `Done!` is the very last one: scripts rely on that.
void Run::end_report(store::RunEnd how, const std::string& why) {
  report_.run_ended(how, why);
  if (how == store::RunEnd::done) report_.print_text(ReportLine::Kind::run, "Done!");
  if (how != store::RunEnd::done && !lost_) report_.print_text(ReportLine::Kind::run, "Flushing logs...");
  services_.reporter.flush();
  concluded_ = true;
}

/// Waits until the file system has written its cache to the disk.
void Run::finish_disk() {
  const auto synced = std::make_shared<bool>(false);
  services_.sync_disk([synced] { *synced = true; });
  if (!*synced) services_.reporter.flush();
  while (!*synced && may_wait_) services_.loop.run_once();
}

/// Waits until the metadata service has received everything.
void Run::finish_metadata() {
  if (services_.metadata.idle()) return;
  services_.reporter.flush();
  while (!services_.metadata.idle() && may_wait_) services_.loop.run_once();
  if (services_.metadata.idle() || lost_) return;
  report_.print(ReportLine::Kind::failure,
                "Workflow interrupted before all metadata was sent. All tasks had finished.");
  end_report(store::RunEnd::interrupted, "interrupted");
  throw Error(ErrorCode::interrupted, "interrupted");
}

// --- running attempts

void Run::launch() {
  while (!stopping() && !held_ && running_.size() < options_.max_workers &&
         committer_.size() + launcher_.storing() < kMaxUncommitted) {
    if (!launcher_.start_next(*backend_, options_.max_workers - running_.size())) return;
  }
}

void Run::start(ScheduledTask task, const compute::Attempt& attempt) {
  StepProgress& step = report_.progress(task.work.step);
  ++step.running;
  if (step.began == 0) step.began = services_.clock.monotonic_microseconds();
  const bool elsewhere = task.elsewhere;
  task.begun = elsewhere;  // a supervisor writes the begin mark itself, when the attempt really starts
  report_.queued(task);
  running_.emplace(attempt.id, std::move(task));
  if (!elsewhere) mark_begun(attempt.id);
  backend_->submit(attempt);
}

/// Writes the begin mark while the process starts; it is in the store before the attempt is committed.
void Run::mark_begun(compute::AttemptId attempt) {
  const ScheduledTask& task = running_.at(attempt);
  services_.background.put({services_.store.begin_mark(task.ref, task.attempt, services_.clock.wall_microseconds())},
                           [this, attempt] {
                             if (const auto found = running_.find(attempt); found != running_.end()) {
                               found->second.begun = true;
                             } else {
                               committer_.on_begun(attempt);
                             }
                           });
}

void Run::on_started(compute::AttemptId attempt, const std::string& where) {
  ScheduledTask& task = running_.at(attempt);
  task.where = where;
  report_.started(task);
  services_.journal.attempt_begins(
      services_.journal.now(), {task.ref, task.attempt, task.is_fallback(), where,
                                task.inputs_stored ? "" : compute::pack_inputs(task.work.inputs), task.work.split_index,
                                task.work.joined_split, task.label});
}

void Run::on_notice(std::span<const compute::AttemptId> attempts, std::string_view text, bool usual) {
  std::vector<const ScheduledTask*> tasks;
  for (const compute::AttemptId attempt : attempts) tasks.push_back(&running_.at(attempt));
  report_.notice(tasks, text, usual);
}

void Run::on_output(compute::AttemptId attempt, store::Stream stream, std::string_view bytes) {
  constexpr std::size_t kLargePiece = 4096;  // bytes; with a head for each line it may grow twentyfold
  ScheduledTask& task = running_.at(attempt);
  task.log->add(stream, bytes, [&](store::Stream of, std::string_view text, std::int64_t time) {
    report_.show_output(task, of, text, time);
  });
  if (bytes.size() < kLargePiece) return;
  report_.flush();
  regulate_output();
}

/// While the reader is behind, tasks block on their output, and no more are started. Returns true when it has caught
/// up.
bool Run::regulate_output() {
  const bool held = !stopping() && services_.reporter.congested();
  if (held == held_) return false;
  held_ = held;
  backend_->hold_output(held);
  return !held;
}

// --- attempts that have ended

void Run::on_finished(compute::AttemptId attempt, const compute::Verdict& verdict) {
  ScheduledTask task = std::move(running_.extract(attempt).mapped());
  task.log->finish([&](store::Stream stream, std::string_view text, std::int64_t time) {
    report_.show_output(task, stream, text, time);
  });
  if (lost_) {
    services_.journal.attempt_ends(services_.journal.now(), task.ref, task.attempt, store::AttemptEnd::stopped,
                                   verdict.usage, lost_->message());
    report_.ended(task, store::AttemptEnd::stopped, false, verdict, lost_->message());
    return;
  }
  committer_.commit(attempt, std::move(task), verdict);
}

void Run::on_committed(EndedAttempt&& ended) {
  ScheduledTask& task = ended.task;
  if (ended.outcome == Outcome::done) return follow(task.work, task.ref, *ended.data, std::move(ended.labels));
  if (!stopping() && launcher_.retry_or_rerun(task, ended.verdict)) return;
  report_.failed(task);
  if (stopping()) return;  // only the first failure is reported
  report_.print(
      task,
      fmt::format("To rerun only this task{}: {} debug {}", task.label.empty() ? "" : fmt::format(" ({})", task.label),
                  options_.command, task.ref.path()),
      ReportLine::Kind::failure);
  fail(fmt::format("Step {} (task-id {}) failed.", task.ref.step, task.ref.task));
}

void Run::follow(const Ready& work, const TaskRef& task, const TaskData& data,
                 std::shared_ptr<const store::ItemLabels> labels) {
  try {
    frontier_.follow(work, task, data, std::move(labels));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::step_failure) throw;
    if (!stopping()) fail(error.what());
  }
}

// --- stopping

void Run::fail(const std::string& why) {
  failure_ = why;
  report_.print_text(ReportLine::Kind::failure, "Workflow failed.");
  stop_all(why);
}

void Run::interrupt(const std::string& why) {
  if (finishing_) {
    may_wait_ = false;
    return;
  }
  if (interrupted_) {
    // The second interrupt: stop within kShutdownLimit, whatever does not answer.
    if (!std::exchange(killed_, true)) timers_.after(kShutdownLimit, [this] { may_wait_ = false; });
    if (running_.empty()) may_wait_ = false;
    if (backend_ != nullptr) backend_->stop(running_ids(), compute::Stop::force);
    return;
  }
  interrupted_ = why;
  report_.print_text(ReportLine::Kind::failure, why);
  if (!failure_) stop_all(why);
}

void Run::lose(const Error& why) {
  if (lost_) return;
  const bool was_stopping = stopping();
  lost_ = why;
  committer_.close();
  report_.print(ReportLine::Kind::failure, why.message());
  if (!why.hint().empty()) report_.print(ReportLine::Kind::run, why.hint());
  if (backend_ != nullptr) backend_->leave();
  if (!was_stopping) stop_all(why.message());
  // Waits no longer than other schedulers do (LeaseTimes::kMargin), even if a task cannot be stopped.
  timers_.after(kGrace + kShutdownLimit, [this] { may_wait_ = false; });
}

void Run::stop_all(const std::string& why) {
  report_.stopping(why, running_.size());
  for (auto& [id, task] : running_) task.stopped = true;
  if (backend_ == nullptr) return;
  backend_->stop(running_ids(), compute::Stop::ask);
  timers_.after(kGrace, [this] {
    if (running_.empty()) return;
    report_.print(
        ReportLine::Kind::run,
        fmt::format("Killing {} remaining tasks after having waited for 5 seconds -- some tasks may not exit cleanly",
                    running_.size()));
    backend_->stop(running_ids(), compute::Stop::force);
  });
}

std::vector<compute::AttemptId> Run::running_ids() const {
  std::vector<compute::AttemptId> ids;
  for (const auto& [id, task] : running_) ids.push_back(id);
  return ids;
}

}  // namespace metaflow::runtime
