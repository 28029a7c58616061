#include "runtime/run_report.h"

#include <algorithm>
#include <string>

#include "base/format.h"

namespace metaflow::runtime {

using store::AttemptEnd;

namespace {

constexpr std::int64_t kRefreshEvery = 100'000;            // the live view; microseconds
constexpr std::int64_t kRefreshWithoutEvents = 1'000'000;  // the same, while nothing happens
constexpr std::int64_t kReportEvery = 300'000'000;         // Metaflow's progress lines
constexpr std::int64_t kProgressEvery = 60'000'000;        // the event `progress`
constexpr std::size_t kLiveLines = 8;
constexpr std::size_t kWide = 24;  // tasks

double in_seconds(std::int64_t microseconds) { return static_cast<double>(microseconds) * 1e-6; }

}  // namespace

RunReport::RunReport(const RunServices& services)
    : services_(services),
      emits_(services.reporter.takes_events()),
      progress_(services.graph.steps().size()),
      began_(services.clock.monotonic_microseconds()),
      timers_(services.loop) {}

// --- lines

void RunReport::line(ReportLine::Kind kind, std::string_view text, bool told) {
  ReportLine line{kind, services_.clock.wall_microseconds(), {}, {}, text};
  line.told = told;
  services_.reporter.print(line);
}

void RunReport::print(const ScheduledTask& task, std::string_view text, ReportLine::Kind kind) {
  const bool minor = kind == ReportLine::Kind::task && is_wide(task.work.step);
  services_.reporter.print(
      {kind, services_.clock.wall_microseconds(), task.name, task.where, text, minor, task.label, true});
}

bool RunReport::is_wide(int step) const { return progress_[static_cast<std::size_t>(step)].expected > kWide; }

// --- what happens to tasks

Event RunReport::event(std::string_view name) const { return Event(name, services_.clock.wall_microseconds()); }

Event RunReport::event(std::string_view name, const ScheduledTask& task) const {
  Event event = this->event(name);
  event.add("step", task.ref.step).add("task", task.ref.task).add("attempt", task.attempt);
  if (!task.indices.empty()) event.add("index", task.indices);
  if (!task.label.empty()) event.add("label", task.label);
  return event;
}

void RunReport::expect(int step, std::size_t tasks) {
  progress(step).expected += tasks;
  if (emits_) emit(event("tasks_expected").add("step", services_.graph.step(step).name).add("tasks", tasks));
}

void RunReport::queued(const ScheduledTask& task) {
  if (emits_) emit(event("task_queued", task));
}

void RunReport::started(ScheduledTask& task) {
  task.started = services_.clock.monotonic_microseconds();
  if (task.attempt > 0 && !task.is_fallback()) ++totals_.retried;
  print(task, task.is_fallback() ? "Task fallback is starting to handle the failure."
              : task.attempt > 0 ? "Task is starting (retry)."
                                 : "Task is starting.");
  if (emits_) emit(event("task_started", task).add("where", task.where).add("fallback", task.is_fallback()));
}

void RunReport::notice(std::span<const ScheduledTask* const> tasks, std::string_view text, bool usual) {
  constexpr std::size_t kFew = 3;
  const ScheduledTask& first = *tasks.front();
  if (usual || (tasks.size() <= kFew && !is_wide(first.work.step))) {
    for (const ScheduledTask* task : tasks) print(*task, text);
  } else {
    print_text(ReportLine::Kind::run, fmt::format("{} task{} of step {}: {}", tasks.size(),
                                                  tasks.size() == 1 ? "" : "s", first.ref.step, text));
  }
  if (!emits_) return;
  for (const ScheduledTask* task : tasks)
    emit(event("task_notice", *task).add("level", usual ? "info" : "warning").add("text", text));
}

void RunReport::show_output(ScheduledTask& task, store::Stream stream, std::string_view text, std::int64_t time) {
  task.last_line = text;
  services_.reporter.print({ReportLine::Kind::output, time, task.name, task.where, text, false, task.label, true});
  if (!emits_) return;
  Event line("task_output", time);
  line.add("step", task.ref.step).add("task", task.ref.task).add("attempt", task.attempt);
  emit(line.add("stream", store::name_of(stream)).add("text", text));
}

void RunReport::ended(const ScheduledTask& task, AttemptEnd how, bool caught, const compute::Verdict& verdict,
                      std::string_view cause) {
  const bool done = how == AttemptEnd::done;
  StepProgress& step = progress(task.work.step);
  --step.running;
  if (done) ++step.done;
  note_end(step);
  totals_.finished += done ? 1 : 0;
  totals_.caught += caught ? 1 : 0;
  totals_.stopped += how == AttemptEnd::stopped ? 1 : 0;
  totals_.cpu_seconds += verdict.usage.cpu_seconds;
  totals_.peak_memory = std::max(totals_.peak_memory, verdict.usage.peak_memory);
  if (!emits_) return;
  Event event = this->event(caught                       ? "task_caught"
                            : done                       ? "task_finished"
                            : how == AttemptEnd::stopped ? "task_stopped"
                                                         : "task_failed",
                            task);
  if (!done) event.add("cause", cause).add("timed_out", verdict.timed_out);
  if (verdict.exit_code) event.add("exit_code", *verdict.exit_code);
  if (verdict.signal != 0) event.add("signal", verdict.signal);
  if (task.started > 0) event.add("seconds", in_seconds(services_.clock.monotonic_microseconds() - task.started));
  emit(event.add("cpu_seconds", verdict.usage.cpu_seconds)
           .add("peak_memory", verdict.usage.peak_memory)
           .add("read", verdict.usage.read)
           .add("written", verdict.usage.written));
}

void RunReport::note_end(const StepProgress& step) {
  if (step.done + step.failed >= step.expected) has_ended_step_ = true;
}

void RunReport::yields(const ScheduledTask& task, std::size_t items) {
  print(task, fmt::format("Foreach yields {} child steps.", items));
  if (emits_) {
    emit(event("foreach", task)
             .add("to", services_.graph.step(services_.graph.step(task.work.step).next[0]).name)
             .add("items", items));
  }
}

void RunReport::retried(const ScheduledTask& task, std::int64_t delay, int of) {
  constexpr std::int64_t kMinute = 60'000'000;
  if (of > 0) print(task, fmt::format("Rerunning (not counted as a retry, {} of {}).", task.lost, of));
  if (delay > 0) {
    print(task, fmt::format("Sleeping {:g} minute{} before the next retry", static_cast<double>(delay) / kMinute,
                            delay == kMinute ? "" : "s"));
  }
  if (!emits_) return;
  emit(event("task_retried", task)
           .add("fallback", task.is_fallback())
           .add("counted", of == 0)
           .add("delay", in_seconds(delay)));
}

void RunReport::failed(const ScheduledTask& task) {
  StepProgress& step = progress(task.work.step);
  ++step.failed;
  note_end(step);
  if (!task.stopped) ++totals_.failed;
}

void RunReport::cloned(const ScheduledTask& task, const store::TaskRef& from, std::int64_t time) {
  StepProgress& step = progress(task.work.step);
  ++step.done;
  ++step.cloned;
  ++totals_.cloned;
  const std::string text = fmt::format("Cloning previously run task {}", from.path());
  services_.reporter.print({ReportLine::Kind::task, time, task.name, {}, text, false, task.label, true});
  if (emits_) emit(event("task_cloned", task).add("origin", from.path()));
}

// --- the run

void RunReport::stopping(std::string_view cause, std::size_t running) {
  print_text(ReportLine::Kind::run, fmt::format("Terminating {} active task{}...", running, running == 1 ? "" : "s"));
  if (emits_) emit(event("run_stopping").add("cause", cause).add("running", running));
}

Event run_ended_event(std::int64_t time, store::RunEnd how, std::string_view cause, const RunTotals& totals,
                      std::int64_t microseconds) {
  Event event("run_ended", time);
  event.add("state", store::name_of(how)).add("exit_code", how == store::RunEnd::done ? 0 : 1).add("cause", cause);
  return event.add("seconds", in_seconds(microseconds))
      .add("finished", totals.finished)
      .add("cloned", totals.cloned)
      .add("retried", totals.retried)
      .add("caught", totals.caught)
      .add("failed", totals.failed)
      .add("stopped", totals.stopped)
      .add("cpu_seconds", totals.cpu_seconds)
      .add("peak_memory", totals.peak_memory);
}

void RunReport::run_ended(store::RunEnd how, std::string_view cause) {
  const std::int64_t took = services_.clock.monotonic_microseconds() - began_;
  print_text(ReportLine::Kind::task, summary_of(totals_, took));  // of kind task: --no-progress omits it
  if (!emits_) return;
  emit_progress();
  emit(run_ended_event(services_.clock.wall_microseconds(), how, cause, totals_, took));
}

void RunReport::emit_progress() {
  std::string steps;
  for (const int index : services_.graph.order()) {
    const StepProgress& at = progress_[static_cast<std::size_t>(index)];
    steps += fmt::format(R"({}{{"step": {}, "tasks": {}, "done": {}, "cloned": {}, "running": {}, "failed": {}}})",
                         steps.empty() ? "" : ", ", base::json_quoted(services_.graph.step(index).name), at.expected,
                         at.done, at.cloned, at.running, at.failed);
  }
  emit(event("progress").add_json("steps", "[" + steps + "]"));
}

void RunReport::begin() {
  repeat(kRefreshWithoutEvents, [this] { refresh(); });
  repeat(kReportEvery, [this] {
    for (const std::string& line : progress_report(services_.graph, progress_)) print_text(ReportLine::Kind::run, line);
  });
  if (!emits_) return;
  emit_progress();
  repeat(kProgressEvery, [this] { emit_progress(); });
}

void RunReport::repeat(std::int64_t period, const std::function<void()>& what) {
  timers_.after(period, [this, period, what] {
    what();
    repeat(period, what);
  });
}

void RunReport::refresh() {
  const std::int64_t now = services_.clock.monotonic_microseconds();
  const std::size_t columns = services_.reporter.columns();
  if (columns == 0 || (now - refreshed_at_ < kRefreshEvery && columns == columns_ && !has_ended_step_)) return;
  refreshed_at_ = now;
  has_ended_step_ = false;
  columns_ = columns;
  services_.reporter.show_status(live_view(services_.graph, progress_, now, kLiveLines, columns));
}

void RunReport::end() { services_.reporter.show_status({}); }

void RunReport::flush() {
  services_.journal.flush();  // first: a reader of the line finds the event in the journal
  services_.reporter.flush();
}

}  // namespace metaflow::runtime
