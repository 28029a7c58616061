#include "runtime/run_report.h"

#include <string>

namespace metaflow::runtime {

namespace {

constexpr std::int64_t kRefreshEvery = 100'000;            // the live view; microseconds
constexpr std::int64_t kRefreshWithoutEvents = 1'000'000;  // the same, while nothing happens
constexpr std::int64_t kReportEvery = 300'000'000;         // Metaflow's progress lines
constexpr std::size_t kLiveLines = 8;
constexpr std::size_t kWide = 24;  // tasks

}  // namespace

RunReport::RunReport(const RunServices& services)
    : services_(services), progress_(services.graph.steps().size()), timers_(services.loop) {}

void RunReport::print(ReportLine::Kind kind, std::string_view text) {
  services_.reporter.print({kind, services_.clock.wall_microseconds(), {}, {}, text});
}

void RunReport::print(const ScheduledTask& task, std::string_view text, ReportLine::Kind kind) {
  const bool minor = kind == ReportLine::Kind::task && is_wide(task.work.step);
  services_.reporter.print({kind, services_.clock.wall_microseconds(), task.name, task.where, text, minor});
}

void RunReport::show_output(ScheduledTask& task, std::string_view text, std::int64_t time) {
  task.last_line = text;
  services_.reporter.print({ReportLine::Kind::output, time, task.name, task.where, text});
}

bool RunReport::is_wide(int step) const { return progress_[static_cast<std::size_t>(step)].expected > kWide; }

void RunReport::begin() {
  repeat(kRefreshWithoutEvents, [this] { refresh(); });
  repeat(kReportEvery, [this] {
    for (const std::string& line : progress_report(services_.graph, progress_)) print(ReportLine::Kind::run, line);
  });
}

void RunReport::repeat(std::int64_t period, const std::function<void()>& what) {
  timers_.after(period, [this, period, what] {
    what();
    repeat(period, what);
  });
}

void RunReport::refresh() {
  const std::int64_t now = services_.clock.monotonic_microseconds();
  if (now - refreshed_at_ < kRefreshEvery) return;
  refreshed_at_ = now;
  services_.reporter.show_status(live_view(services_.graph, progress_, now, kLiveLines));
}

void RunReport::end() { services_.reporter.show_status({}); }

void RunReport::flush() {
  services_.journal.flush();  // first: a reader of the line finds the event in the journal
  services_.reporter.flush();
}

}  // namespace metaflow::runtime
