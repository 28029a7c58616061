#include "compute/batch/log_follower.h"

#include <algorithm>
#include <utility>

namespace metaflow::awsbatch {

using compute::AttemptId;

namespace {

constexpr std::int64_t kFirstLook = 1'000'000;  // microseconds
constexpr std::int64_t kSlowestLook = 30'000'000;

}  // namespace

LogFollower::LogFollower(base::EventLoop& loop, compute::LeftoverReader& leftovers, Events events, std::size_t most)
    : loop_(loop), leftovers_(leftovers), events_(std::move(events)), most_(most) {}

LogFollower::~LogFollower() {
  for (auto& [id, log] : logs_) {
    if (log.timer) loop_.cancel(*log.timer);
  }
}

void LogFollower::follow(AttemptId id, store::TaskRef task, int attempt) {
  if (followed_ >= most_) return;
  Log& log = logs_[id];
  if (std::exchange(log.followed, true)) return;
  ++followed_;
  log.task = std::move(task);
  log.attempt = attempt;
  log.every = kFirstLook;
  schedule(id, log);
}

void LogFollower::schedule(AttemptId id, Log& log) {
  log.timer = loop_.after(log.every, [this, id] { look(id); });
}

void LogFollower::look(AttemptId id) {
  Log& log = logs_.at(id);
  log.timer.reset();
  log.looking = true;
  leftovers_.read_log(log.task, log.attempt, [this, id](compute::Leftover&& left) {
    const auto found = logs_.find(id);
    if (found == logs_.end()) return;
    Log& looked = found->second;
    looked.looking = false;
    const std::size_t before = looked.shown_out + looked.shown_err;
    show(id, left.out, left.err);
    if (!looked.followed) return events_.on_stopped(id);
    const bool grew = looked.shown_out + looked.shown_err > before;
    looked.every = grew ? kFirstLook : std::min(looked.every * 3 / 2, kSlowestLook);
    schedule(id, looked);
  });
}

bool LogFollower::stop(AttemptId id) {
  const auto found = logs_.find(id);
  if (found == logs_.end()) return true;
  Log& log = found->second;
  if (std::exchange(log.followed, false)) --followed_;
  if (log.timer) loop_.cancel(*log.timer);
  log.timer.reset();
  return !log.looking;
}

void LogFollower::show(AttemptId id, const std::optional<std::string>& out, const std::optional<std::string>& err) {
  Log& log = logs_[id];
  const auto rest = [&](const std::optional<std::string>& text, std::size_t& shown, store::Stream stream) {
    if (!text || text->size() <= shown) return;
    events_.on_output(id, stream, std::string_view(*text).substr(shown));
    shown = text->size();
  };
  rest(out, log.shown_out, store::Stream::out);
  rest(err, log.shown_err, store::Stream::err);
}

void LogFollower::forget(AttemptId id) {
  stop(id);
  logs_.erase(id);
}

}  // namespace metaflow::awsbatch
