// The part of a run that shows what tasks print, as fast as it is read.
#include "runtime/run.h"

namespace metaflow::runtime {

namespace {

constexpr std::size_t kLargePiece = 4096;  // bytes; with a head for each line it may grow twentyfold

}  // namespace

void Run::on_output(compute::AttemptId attempt, store::Stream stream, std::string_view bytes) {
  Task& task = running_.at(attempt);
  task.log->add(stream, bytes, [&](std::string_view text, std::int64_t time) {
    task.last_line = text;
    services_.reporter.print({ReportLine::Kind::output, time, task.name, task.where, text});
  });
  if (bytes.size() < kLargePiece) return;
  services_.journal.flush();
  services_.reporter.flush();
  regulate_output();
}

/// While the reader is behind, tasks block on what they print, and no more are started. True: it has caught up.
bool Run::regulate_output() {
  const bool held = !stopping() && services_.reporter.congested();
  if (held == held_) return false;
  held_ = held;
  backend_->hold_output(held);
  return !held;
}

}  // namespace metaflow::runtime
