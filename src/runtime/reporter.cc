#include "runtime/reporter.h"

#include <cstdint>
#include <utility>

#include "base/clock.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::runtime {

namespace {

// The live view is not drawn while more bytes than this are unread.
constexpr std::size_t kBehind = 64 * 1024;

/// Lines after the first are indented, so that none looks like a line of the scheduler.
std::string shown_text(const ReportLine& line) {
  if (line.kind == ReportLine::Kind::output) return base::visible_output(line.text);
  std::string text = base::visible_lines(line.text);
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1))
    text.insert(at + 1, "    ");
  return text;
}

/// Drops and counts lines that do not fit.
class LineReporter : public Reporter {
 public:
  LineReporter(std::unique_ptr<OutputQueue> out, base::Clock& clock) : out_(std::move(out)), clock_(clock) {}

  void print(const ReportLine& line) override { add(format(line), line.kind != ReportLine::Kind::output); }
  void show_status(std::vector<std::string>) override {}
  void flush() override { out_->flush(); }
  bool congested() override { return out_->congested(); }
  bool finish(std::int64_t timeout, int stop) override {
    show_status({});
    report_dropped();
    return out_->finish(timeout, stop);
  }

 protected:
  /// The line with its newline; empty if it is not shown.
  virtual std::string format(const ReportLine& line) = 0;
  /// A line about lines that were dropped.
  virtual std::string format_dropped(std::size_t lines, std::int64_t time) = 0;
  virtual void before_line() {}
  OutputQueue& out() { return *out_; }

  /// `needed`: additional room is reserved for it.
  void add(const std::string& text, bool needed) {
    if (text.empty()) return;
    if (!out_->has_room(text.size(), needed)) {
      ++dropped_;
      return;
    }
    before_line();
    report_dropped();
    out_->add(text);
  }

 private:
  /// Reports how many lines were dropped here.
  void report_dropped() {
    if (dropped_ == 0) return;
    out_->add(format_dropped(dropped_, clock_.wall_microseconds()));
    dropped_ = 0;
  }

  std::unique_ptr<OutputQueue> out_;
  base::Clock& clock_;
  std::size_t dropped_ = 0;  // lines since the last that was shown
};

class TextReporter : public LineReporter {
 public:
  TextReporter(std::unique_ptr<OutputQueue> out, base::Clock& clock, base::TerminalStyle terminal, bool no_progress)
      : LineReporter(std::move(out), clock), terminal_(terminal), no_progress_(no_progress) {}

  std::size_t columns() override { return terminal_.redraws ? base::terminal_size(1).columns - 1 : 0; }

  void show_status(std::vector<std::string> lines) override {
    if (!terminal_.redraws || lines == status_) return;
    before_line();
    status_ = std::move(lines);
  }

  void flush() override {
    if (terminal_.redraws && !status_.empty() && shown_.empty() && out().waiting() < kBehind) {
      const std::size_t width = columns();
      for (const std::string& line : status_) {
        const std::string text = base::visible(line);
        const std::string_view part = base::first_characters(text, width);
        const char* newline = shown_.empty() ? "" : "\n";
        out().add(terminal_.colours ? fmt::format("{}\033[2m{}\033[0m", newline, part)
                                    : fmt::format("{}{}", newline, part));
        shown_.push_back(base::characters(part));
      }
    }
    LineReporter::flush();
  }

 protected:
  std::string format(const ReportLine& line) override {
    if ((no_progress_ || (terminal_.redraws && line.minor)) && line.kind == ReportLine::Kind::task) return {};
    const std::string time = base::local_time(line.time);
    const std::string head = head_of(line);
    const std::string body = shown_text(line);
    if (!terminal_.colours) return fmt::format("{} {}{}\n", time, head, body);
    // The time is magenta, the head green, system lines bold, errors red.
    std::string text = fmt::format("\033[35m{} \033[0m", time);
    if (!head.empty()) text += fmt::format("\033[32m{}\033[0m", head);
    switch (line.kind) {
      case ReportLine::Kind::output: return text + fmt::format("\033[22m{}\033[0m\n", body);
      case ReportLine::Kind::task:
      case ReportLine::Kind::run: return text + fmt::format("\033[1m{}\033[0m\n", body);
      case ReportLine::Kind::failure: return text + fmt::format("\033[31m\033[1m{}\033[0m\n", body);
    }
    return text;
  }

  std::string format_dropped(std::size_t lines, std::int64_t time) override {
    const std::string text = fmt::format("{} line{} not shown: the output was not read. `logs` shows what tasks print.",
                                         base::grouped(lines), lines == 1 ? " was" : "s were");
    return format({ReportLine::Kind::run, time, {}, {}, text});
  }

  /// Removes the live view. Its lines have more rows if the window was made narrower since they were drawn.
  void before_line() override {
    if (shown_.empty()) return;
    const std::size_t width = base::terminal_reflows() ? base::terminal_size(1).columns : SIZE_MAX;
    std::size_t rows = 0;
    for (const std::size_t length : shown_) rows += 1 + (length == 0 ? 0 : (length - 1) / width);
    out().add("\r\033[K");
    for (; rows > 1; --rows) out().add("\033[A\033[K");
    shown_.clear();
  }

 private:
  /// "[17/start/1 (pid 4711)] ". People read a terminal: there the label follows.
  std::string head_of(const ReportLine& line) const {
    if (line.task.empty()) return {};
    std::string head = "[" + base::visible(line.task);
    if (!line.where.empty()) head += fmt::format(" ({})", base::visible(line.where));
    if (terminal_.redraws && !line.label.empty()) head += " " + base::visible(line.label);
    return head + "] ";
  }

  base::TerminalStyle terminal_;
  bool no_progress_;
  std::vector<std::string> status_;
  std::vector<std::size_t> shown_;  // the lengths of the lines of the live view that are on the terminal
};

class JsonReporter : public LineReporter {
 public:
  using LineReporter::LineReporter;

  void name_run(const std::string& flow, const std::string& run) override {
    run_ = fmt::format(R"(, "flow": {}, "run": {})", base::json_quoted(flow), base::json_quoted(run));
  }
  bool takes_events() const override { return true; }
  void emit(const Event& event) override { add(format(event), event.name() != "task_output"); }

 protected:
  std::string format(const ReportLine& line) override {
    if (line.told) return {};
    return format(Event("message", line.time)
                      .add("level", line.kind == ReportLine::Kind::failure ? "error" : "info")
                      .add("text", line.text));
  }
  std::string format_dropped(std::size_t lines, std::int64_t time) override {
    return format(Event("events_dropped", time).add("events", lines));
  }

 private:
  std::string format(const Event& event) {
    std::string version;
    if (std::exchange(is_first_, false)) version = fmt::format(R"(, "version": {})", kEventsVersion);
    return base::visible_lines(fmt::format("{{\"event\": \"{}\"{}, \"time\": \"{}Z\"{}{}}}\n", event.name(), version,
                                           base::utc_time(event.time()), run_, event.fields()));
  }

  std::string run_;  // the fields that name the run; empty: it has no id yet
  bool is_first_ = true;
};

}  // namespace

std::unique_ptr<Reporter> text_reporter(std::unique_ptr<OutputQueue> out, base::Clock& clock,
                                        base::TerminalStyle terminal, bool no_progress) {
  return std::make_unique<TextReporter>(std::move(out), clock, terminal, no_progress);
}
std::unique_ptr<Reporter> json_reporter(std::unique_ptr<OutputQueue> out, base::Clock& clock) {
  return std::make_unique<JsonReporter>(std::move(out), clock);
}

}  // namespace metaflow::runtime
