// The reports of a running run: lines, the live view, and the progress of each step.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/timers.h"
#include "runtime/progress.h"
#include "runtime/run_services.h"
#include "runtime/scheduled_task.h"

namespace metaflow::runtime {

/// Not thread-safe.
class RunReport {
 public:
  explicit RunReport(const RunServices& services);

  /// Prints a line about the run.
  void print(ReportLine::Kind kind, std::string_view text);
  /// Prints a line about one of its tasks. A terminal does not show the end of each task of a step with many tasks.
  void print(const ScheduledTask& task, std::string_view text, ReportLine::Kind kind = ReportLine::Kind::task);
  /// Prints a line of a task's output.
  void show_output(ScheduledTask& task, std::string_view text, std::int64_t time);

  StepProgress& progress(int step) { return progress_[static_cast<std::size_t>(step)]; }
  const std::vector<StepProgress>& progress() const { return progress_; }
  /// Whether the step has so many tasks that the live view stands for their lines.
  bool is_wide(int step) const;

  /// Starts the live view, and Metaflow's lines every five minutes, which appear also while nothing happens.
  void begin();
  /// Redraws the live view.
  void refresh();
  /// Removes the live view.
  void end();

  /// Writes the lines since the last flush, and the events of the journal.
  void flush();

 private:
  void repeat(std::int64_t period, const std::function<void()>& what);

  const RunServices& services_;
  std::vector<StepProgress> progress_;  // per step
  std::int64_t refreshed_at_ = 0;
  base::Timers timers_;
};

}  // namespace metaflow::runtime
