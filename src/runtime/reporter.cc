#include "runtime/reporter.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::runtime {

namespace {

/// Writes to the standard output; a reader that has gone away (`| head`) does not end the run.
void write_out(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(1, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd waiting{1, POLLOUT, 0};
      ::poll(&waiting, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

std::string head_of(const ReportLine& line) {
  if (line.task.empty()) return {};
  if (line.where.empty()) return fmt::format("[{}] ", line.task);
  return fmt::format("[{} ({})] ", line.task, line.where);
}

class TextReporter : public Reporter {
 public:
  TextReporter(bool terminal, bool quiet) : terminal_(terminal), quiet_(quiet) {}

  void print(const ReportLine& line) override {
    if ((quiet_ || (terminal_ && line.minor)) && line.kind == ReportLine::Kind::task) return;
    clear_status();
    const std::string time = base::local_time(line.time);
    const std::string head = head_of(line);
    if (!terminal_) {
      buffer_ += fmt::format("{} {}{}\n", time, head, line.text);
      return;
    }
    // Magenta time, green head; bold what the system says, red what is bad.
    buffer_ += fmt::format("\033[35m{} \033[0m", time);
    if (!head.empty()) buffer_ += fmt::format("\033[32m{}\033[0m", head);
    switch (line.kind) {
      case ReportLine::Kind::output: buffer_ += fmt::format("\033[22m{}\033[0m\n", line.text); break;
      case ReportLine::Kind::task:
      case ReportLine::Kind::run: buffer_ += fmt::format("\033[1m{}\033[0m\n", line.text); break;
      case ReportLine::Kind::failure: buffer_ += fmt::format("\033[31m\033[1m{}\033[0m\n", line.text); break;
    }
  }

  void show_status(std::vector<std::string> lines) override {
    if (!terminal_ || lines == status_) return;
    clear_status();
    status_ = std::move(lines);
  }

  void flush() override {
    if (terminal_ && !status_.empty() && shown_ == 0) {
      winsize size{};
      const bool known = ::ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
      const std::size_t width = known ? size.ws_col - 1U : 79U;
      for (const std::string& line : status_)
        buffer_ += fmt::format("{}\033[2m{}\033[0m", shown_++ == 0 ? "" : "\n", line.substr(0, width));
    }
    if (buffer_.empty()) return;
    write_out(buffer_);
    buffer_.clear();
  }

 private:
  void clear_status() {
    if (shown_ > 0) buffer_ += "\r\033[K";
    for (; shown_ > 1; --shown_) buffer_ += "\033[A\033[K";
    shown_ = 0;
  }

  bool terminal_;
  bool quiet_;
  std::string buffer_;
  std::vector<std::string> status_;
  std::size_t shown_ = 0;  // lines of it that are on the terminal
};

class JsonReporter : public Reporter {
 public:
  void print(const ReportLine& line) override {
    constexpr std::string_view kKinds[] = {"output", "task", "run", "failure"};
    buffer_ += fmt::format(R"({{"time": "{}Z", "kind": "{}")", base::utc_time(line.time),
                           kKinds[static_cast<std::size_t>(line.kind)]);
    if (!line.task.empty()) buffer_ += fmt::format(R"(, "task": {})", base::json_quoted(line.task));
    if (!line.where.empty()) buffer_ += fmt::format(R"(, "where": {})", base::json_quoted(line.where));
    buffer_ += fmt::format(", \"text\": {}}}\n", base::json_quoted(line.text));
  }
  void show_status(std::vector<std::string>) override {}
  void flush() override {
    write_out(buffer_);
    buffer_.clear();
  }

 private:
  std::string buffer_;
};

}  // namespace

std::unique_ptr<Reporter> text_reporter(bool terminal, bool quiet) {
  return std::make_unique<TextReporter>(terminal, quiet);
}
std::unique_ptr<Reporter> json_reporter() { return std::make_unique<JsonReporter>(); }

}  // namespace metaflow::runtime
