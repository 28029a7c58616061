#include "runtime/reporter.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::runtime {

namespace {

// The live view is not drawn while more bytes than this are unread.
constexpr std::size_t kBehind = 64 * 1024;

std::string head_of(const ReportLine& line) {
  if (line.task.empty()) return {};
  if (line.where.empty()) return fmt::format("[{}] ", base::visible(line.task));
  return fmt::format("[{} ({})] ", base::visible(line.task), base::visible(line.where));
}

/// Lines after the first are indented, so that none looks like a line of the scheduler.
std::string shown_text(const ReportLine& line) {
  if (line.kind == ReportLine::Kind::output) return base::visible_output(line.text);
  std::string text = base::visible_lines(line.text);
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1))
    text.insert(at + 1, "    ");
  return text;
}

/// Formats lines. Drops and counts those that do not fit.
class LineReporter : public Reporter {
 public:
  LineReporter(std::unique_ptr<OutputQueue> out, base::Clock& clock) : out_(std::move(out)), clock_(clock) {}

  void print(const ReportLine& line) override {
    std::string text = format(line);
    if (text.empty()) return;
    if (!out_->has_room(text.size(), line.kind != ReportLine::Kind::output)) {
      ++dropped_;
      return;
    }
    before_line();
    report_dropped();
    out_->add(text);
  }
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
  virtual std::string format(const ReportLine& line) const = 0;
  virtual void before_line() {}
  OutputQueue& out() { return *out_; }

 private:
  /// Reports how many lines were dropped here.
  void report_dropped() {
    if (dropped_ == 0) return;
    const std::string text = fmt::format("{} line{} not shown: the output was not read. `logs` shows what tasks print.",
                                         base::grouped(dropped_), dropped_ == 1 ? " was" : "s were");
    out_->add(format({ReportLine::Kind::run, clock_.wall_microseconds(), {}, {}, text}));
    dropped_ = 0;
  }

  std::unique_ptr<OutputQueue> out_;
  base::Clock& clock_;
  std::size_t dropped_ = 0;  // lines since the last that was shown
};

class TextReporter : public LineReporter {
 public:
  TextReporter(std::unique_ptr<OutputQueue> out, base::Clock& clock, bool terminal, bool quiet)
      : LineReporter(std::move(out), clock), terminal_(terminal), quiet_(quiet) {}

  void show_status(std::vector<std::string> lines) override {
    if (!terminal_ || lines == status_) return;
    before_line();
    status_ = std::move(lines);
  }

  void flush() override {
    if (terminal_ && !status_.empty() && shown_ == 0 && out().waiting() < kBehind) {
      winsize size{};
      const bool known = ::ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
      const std::size_t width = known ? size.ws_col - 1U : 79U;
      for (const std::string& line : status_) {
        const std::string text = base::visible(line).substr(0, width);
        out().add(fmt::format("{}\033[2m{}\033[0m", shown_++ == 0 ? "" : "\n", text));
      }
    }
    LineReporter::flush();
  }

 protected:
  std::string format(const ReportLine& line) const override {
    if ((quiet_ || (terminal_ && line.minor)) && line.kind == ReportLine::Kind::task) return {};
    const std::string time = base::local_time(line.time);
    const std::string head = head_of(line);
    const std::string body = shown_text(line);
    if (!terminal_) return fmt::format("{} {}{}\n", time, head, body);
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

  /// Removes the live view.
  void before_line() override {
    if (shown_ > 0) out().add("\r\033[K");
    for (; shown_ > 1; --shown_) out().add("\033[A\033[K");
    shown_ = 0;
  }

 private:
  bool terminal_;
  bool quiet_;
  std::vector<std::string> status_;
  std::size_t shown_ = 0;  // lines of the live view that are on the terminal
};

class JsonReporter : public LineReporter {
 public:
  using LineReporter::LineReporter;

 protected:
  std::string format(const ReportLine& line) const override {
    constexpr std::string_view kKinds[] = {"output", "task", "run", "failure"};
    std::string text = fmt::format(R"({{"time": "{}Z", "kind": "{}")", base::utc_time(line.time),
                                   kKinds[static_cast<std::size_t>(line.kind)]);
    if (!line.task.empty()) text += fmt::format(R"(, "task": {})", base::json_quoted(line.task));
    if (!line.where.empty()) text += fmt::format(R"(, "where": {})", base::json_quoted(line.where));
    return base::visible_lines(text + fmt::format(", \"text\": {}}}\n", base::json_quoted(line.text)));
  }
};

}  // namespace

std::unique_ptr<Reporter> text_reporter(std::unique_ptr<OutputQueue> out, base::Clock& clock, bool terminal,
                                        bool quiet) {
  return std::make_unique<TextReporter>(std::move(out), clock, terminal, quiet);
}
std::unique_ptr<Reporter> json_reporter(std::unique_ptr<OutputQueue> out, base::Clock& clock) {
  return std::make_unique<JsonReporter>(std::move(out), clock);
}

}  // namespace metaflow::runtime
