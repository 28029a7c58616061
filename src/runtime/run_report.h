// What a run tells while it goes on: lines, the live view, and how many tasks of each step are how far.
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

  /// About the run.
  void say(ReportLine::Kind kind, std::string_view text);
  /// About a task of it; whether it succeeds is left out of what a terminal shows of a step with many tasks.
  void say(const ScheduledTask& task, std::string_view text, ReportLine::Kind kind = ReportLine::Kind::task);
  /// What a task printed.
  void show_output(ScheduledTask& task, std::string_view text, std::int64_t time);

  StepProgress& progress(int step) { return progress_[static_cast<std::size_t>(step)]; }
  const std::vector<StepProgress>& progress() const { return progress_; }
  /// A step with many tasks is watched by the live view, not line by line.
  bool is_wide(int step) const;

  /// From now on the live view is shown, and Metaflow's lines every five minutes, also while nothing happens.
  void begin();
  /// The live view is brought up to date.
  void refresh();
  /// The live view is taken away.
  void end();

  /// Writes out what was told since the last time, and what the journal has.
  void flush();

 private:
  void repeat(std::int64_t period, const std::function<void()>& what);

  const RunServices& services_;
  std::vector<StepProgress> progress_;  // per step
  std::int64_t refreshed_at_ = 0;
  base::Timers timers_;
};

}  // namespace metaflow::runtime
