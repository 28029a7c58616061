#include <unistd.h>

#include <csignal>

#include "base/background_writer.h"
#include "base/terminal.h"
#include "cli/run_session.h"
#include "runtime/output_queue.h"

namespace metaflow::cli {

using runtime::ReportLine;

RunOutput::RunOutput(base::EventLoop& loop, base::Clock& clock, const ExecutionOptions& options)
    : loop_(loop), clock_(clock) {
  auto out = std::make_unique<runtime::OutputQueue>(loop, clock, STDOUT_FILENO);
  reporter_ = options.json
                  ? runtime::json_reporter(std::move(out), clock)
                  : runtime::text_reporter(std::move(out), clock, base::terminal_style(1), options.no_progress);
  if (reporter_->columns() == 0) return;
  resizes_.emplace(std::vector{SIGWINCH});
  // The live view is drawn again at each turn of the loop in which the width has changed.
  loop_.watch(resizes_->fd(), [this] {
    while (resizes_->next() != 0) {
    }
  });
}

RunOutput::~RunOutput() {
  const int stop = signals_ ? signals_->fd() : -1;
  const bool all = reporter_->finish(is_stopping_ ? base::kInterruptedTimeout : base::kReaderTimeout, stop);
  if (!all && !is_stopping_ && signals_ && signals_->next() == 0) {
    Context::echo_last("Some output was not read. `logs` shows the output of the tasks.\n", base::kInterruptedTimeout);
  }
}

void RunOutput::print(std::string_view text, bool told) {
  ReportLine line{ReportLine::Kind::run, clock_.wall_microseconds(), {}, {}, text};
  line.told = told;
  reporter_->print(line);
  reporter_->flush();
}

void RunOutput::on_stop(std::function<void(int signal)> callback) {
  signals_.emplace(std::vector{SIGINT, SIGTERM, SIGHUP});
  loop_.watch(signals_->fd(), [this, callback = std::move(callback)] {
    while (const int signal = signals_->next()) {
      is_stopping_ = true;
      callback(signal);
    }
  });
}

void RunOutput::on_suspend(std::function<void()> before, std::function<void()> after) {
  suspensions_.emplace(std::vector{SIGTSTP});
  loop_.watch(suspensions_->fd(), [this, before = std::move(before), after = std::move(after)] {
    if (suspensions_->next() == 0) return;
    before();
    ::raise(SIGSTOP);
    after();
  });
}

}  // namespace metaflow::cli
