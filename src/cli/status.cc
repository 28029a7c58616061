// status: the progress of a run, or how it ended.

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include <metaflow/error.h>

#include "base/event_loop.h"
#include "base/files.h"
#include "base/format.h"
#include "base/terminal.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/status_text.h"

namespace metaflow::cli {

namespace {

struct StatusOptions {
  std::string run;
  bool json = false;
  bool watch = false;
};

constexpr int kEvery = 1000;  // milliseconds

/// The screen of a terminal while `status --watch` draws on it. The terminal keeps what was there before in its other
/// buffer, so a window of any size can be drawn anew.
class Screen {
 public:
  Screen() { base::write_all(STDOUT_FILENO, "\033[?1049h"); }
  ~Screen() {
    try {
      base::write_all(STDOUT_FILENO, "\033[?1049l");
    } catch (const Error&) {  // the terminal is gone
    }
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  static void draw(const std::string& text) {
    const base::TerminalSize size = base::terminal_size(STDOUT_FILENO);
    std::string drawn = "\033[H";
    std::size_t rows = 0;
    for (const std::string& line : base::split(base::visible_lines(text), '\n')) {
      if (++rows >= size.rows) break;
      drawn += fmt::format("{}\033[K\r\n", base::first_characters(line, size.columns));
    }
    base::write_all(STDOUT_FILENO, drawn + "\033[J");
  }
};

/// Shows a run until it has ended, or a signal ends the command.
class Watcher {
 public:
  Watcher(Context& context, const StatusOptions& options)
      : context_(context), json_(options.json), run_(context, options.run) {
    if (!json_ && base::terminal_style(STDOUT_FILENO).redraws) screen_.emplace();
  }

  int watch() {
    show();
    int signal = 0;
    while (run_.state() == "running" && signal == 0) {
      signal = wait();
      if (run_.refresh() || screen_) show();
    }
    screen_.reset();
    if (!json_) Context::print(status_text(context_, run_, now()));
    if (signal != 0) return 128 + signal;
    const std::string state = run_.state();
    return state == "done" ? 0 : state == "failed" ? 3 : state == "interrupted" ? 4 : 5;
  }

 private:
  std::int64_t now() const { return context_.clock.wall_microseconds(); }

  void show() {
    if (screen_) return Screen::draw(status_text(context_, run_, now()));
    if (json_) return Context::print(status_json(context_, run_, now()));
    std::string line = status_line(context_, run_);
    if (line == line_) return;
    line_ = std::move(line);
    Context::print(fmt::format("{} {}\n", base::local_time(now()), line_));
  }

  /// Waits a moment. Returns the signal that ends the command; 0: none.
  int wait() {
    pollfd event{signals_.fd(), POLLIN, 0};
    ::poll(&event, 1, kEvery);
    while (const int signal = signals_.next()) {
      if (signal == SIGWINCH) continue;  // it is drawn anew
      if (signal != SIGTSTP) return signal;
      const bool had_screen = screen_.has_value();
      screen_.reset();
      ::raise(SIGSTOP);
      if (had_screen) screen_.emplace();
    }
    return 0;
  }

  Context& context_;
  const bool json_;
  base::SignalReader signals_{{SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP}};
  RunView run_;
  std::optional<Screen> screen_;
  std::string line_;  // the last one
};

int status(Context& context, const StatusOptions& options) {
  if (options.watch) return Watcher(context, options).watch();
  const RunView run(context, options.run);
  const std::int64_t now = context.clock.wall_microseconds();
  Context::print(options.json ? status_json(context, run, now) : status_text(context, run, now));
  return 0;
}

}  // namespace

Command status_command(Context& context) {
  auto options = std::make_shared<StatusOptions>();
  return {.name = "status",
          .help = "Show the progress of a run, or how it ended. Default: the newest run of this flow.",
          .options = {{.name = "--json", .help = "Print the status as JSON.", .set = store_flag(options->json)},
                      {.name = "--watch",
                       .help = "Show the progress until the run ends. The exit code tells how: 0 done, 3 failed, 4 "
                               "interrupted, 5 its scheduler died.",
                       .set = store_flag(options->watch)}},
          .arguments = {{.name = "RUN_ID", .kind = ValueKind::run, .required = false, .set = store_text(options->run)}},
          .examples = {{"latest", "Show the last run."},
                       {"latest --watch", "Show the progress of the last run until it ends."}},
          .run = [&context, options] { return status(context, *options); }};
}

}  // namespace metaflow::cli
