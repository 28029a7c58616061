// The output of a run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/terminal.h"
#include "runtime/event.h"
#include "runtime/output_queue.h"

namespace metaflow::runtime {

/// One line of a run's output.
struct ReportLine {
  enum class Kind : std::uint8_t {
    output,  // of a task
    task,    // about a task: "Task is starting."
    run,     // about the run: "Workflow starting ..."
    failure  // about the run, an error: "Workflow failed."
  };
  Kind kind = Kind::run;
  std::int64_t time = 0;   // microseconds since 1970
  std::string_view task;   // "17/start/1"; empty for kind run
  std::string_view where;  // "pid 4711"; may be empty
  std::string_view text;
  bool minor = false;        // one of many similar lines; a terminal shows the live view instead
  std::string_view label{};  // of the task's item; shown on a terminal
  bool told = false;         // an event tells the same
};

/// Everything that a run prints goes through here. Control characters are made visible; the output of tasks keeps its
/// colours. Only finish() waits for the reader. Not thread-safe.
class Reporter {
 public:
  virtual ~Reporter() = default;
  /// The run whose lines follow.
  virtual void name_run(const std::string& /*flow*/, const std::string& /*run*/) {}
  virtual void print(const ReportLine& line) = 0;
  /// Whether events are shown, for programs. Lines that an event tells, too, are not shown then.
  virtual bool takes_events() const { return false; }
  virtual void emit(const Event& /*event*/) {}
  /// The width of the live view; 0: there is none. Changes with the window.
  virtual std::size_t columns() { return 0; }
  /// Shows lines that stay at the bottom of a terminal and change: the live view. Does nothing without a terminal.
  virtual void show_status(std::vector<std::string> lines) = 0;
  /// Writes the lines that were printed since the last flush.
  virtual void flush() = 0;
  /// Whether tasks have to wait before they print more: OutputQueue.
  virtual bool congested() = 0;
  /// As BackgroundWriter::finish().
  virtual bool finish(std::int64_t timeout, int stop) = 0;
};

/// Metaflow's lines: "2026-11-22 12:26:10.827 [17/start/1 (pid 4711)] Task is starting." to standard output.
/// `no_progress`: without the lines about tasks.
std::unique_ptr<Reporter> text_reporter(std::unique_ptr<OutputQueue> out, base::Clock& clock,
                                        base::TerminalStyle terminal, bool no_progress = false);
/// Events, one JSON object per line (docs/events.md).
std::unique_ptr<Reporter> json_reporter(std::unique_ptr<OutputQueue> out, base::Clock& clock);

}  // namespace metaflow::runtime
