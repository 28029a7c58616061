// The reports of a running run: lines and events, the live view, the progress of each step and the totals.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/timers.h"
#include "compute/backend.h"
#include "runtime/progress.h"
#include "runtime/run_services.h"
#include "runtime/scheduled_task.h"

namespace metaflow::runtime {

/// Not thread-safe.
class RunReport {
 public:
  explicit RunReport(const RunServices& services);

  /// Prints a line about the run. Events have it as a message.
  void print(ReportLine::Kind kind, std::string_view text) { line(kind, text, false); }
  /// The same for a line of which an event tells the same.
  void print_text(ReportLine::Kind kind, std::string_view text) { line(kind, text, true); }
  /// Prints a line about one of its tasks, of which an event tells the same. A terminal does not show the end of each
  /// task of a step with many tasks.
  void print(const ScheduledTask& task, std::string_view text, ReportLine::Kind kind = ReportLine::Kind::task);

  // What happens to tasks. These functions print the line, if there is one, and emit the event.

  /// More tasks of a step will follow.
  void expect(int step, std::size_t tasks);
  void queued(const ScheduledTask& task);
  void started(ScheduledTask& task);
  void notice(std::span<const ScheduledTask* const> tasks, std::string_view text, bool usual);
  void show_output(ScheduledTask& task, store::Stream stream, std::string_view text, std::int64_t time);
  /// An attempt has ended. `caught`: it succeeded only because `catch` stored its failure.
  void ended(const ScheduledTask& task, store::AttemptEnd how, bool caught, const compute::Verdict& verdict,
             std::string_view cause);
  /// A foreach has so many items.
  void yields(const ScheduledTask& task, std::size_t items);
  /// The task gets another attempt, after a delay in microseconds. `of`: not counted as a retry, as one of so many; 0:
  /// a retry.
  void retried(const ScheduledTask& task, std::int64_t delay, int of);
  /// The task will not be executed again.
  void failed(const ScheduledTask& task);
  void cloned(const ScheduledTask& task, const store::TaskRef& from, std::int64_t time);

  /// No more tasks are started.
  void stopping(std::string_view cause, std::size_t running);
  /// The last event of a run, and the summary.
  void run_ended(store::RunEnd how, std::string_view cause);

  StepProgress& progress(int step) { return progress_[static_cast<std::size_t>(step)]; }
  const std::vector<StepProgress>& progress() const { return progress_; }
  const RunTotals& totals() const { return totals_; }

  /// Starts the live view, Metaflow's lines every five minutes, and the regular event about the progress. These appear
  /// also while nothing happens.
  void begin();
  /// Redraws the live view.
  void refresh();
  /// Removes the live view.
  void end();

  /// Writes the lines since the last flush, and the events of the journal.
  void flush();

 private:
  /// Whether the step has so many tasks that the live view stands for their lines.
  bool is_wide(int step) const;
  void line(ReportLine::Kind kind, std::string_view text, bool told);
  Event event(std::string_view name) const;
  Event event(std::string_view name, const ScheduledTask& task) const;
  void emit(const Event& event) { services_.reporter.emit(event); }
  void emit_progress();
  /// Lets the next `refresh` remove the step from the live view at once if no task of it is left.
  void note_end(const StepProgress& step);
  void repeat(std::int64_t period, const std::function<void()>& what);

  const RunServices& services_;
  const bool emits_;
  std::vector<StepProgress> progress_;  // per step
  RunTotals totals_;
  std::int64_t began_;  // monotonic
  std::int64_t refreshed_at_ = 0;
  std::size_t columns_ = 0;      // of the live view when it was last drawn
  bool has_ended_step_ = false;  // since the live view was last drawn
  base::Timers timers_;
};

/// The event run_ended. `microseconds`: since the run began.
Event run_ended_event(std::int64_t time, store::RunEnd how, std::string_view cause, const RunTotals& totals,
                      std::int64_t microseconds);

}  // namespace metaflow::runtime
