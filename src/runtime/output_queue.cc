#include "runtime/output_queue.h"

namespace metaflow::runtime {

OutputQueue::OutputQueue(base::EventLoop& loop, base::Clock& clock, int fd) : loop_(loop), clock_(clock), writer_(fd) {
  loop_.watch(writer_.event(), [this] { writer_.clear_event(); });
}

OutputQueue::~OutputQueue() {
  loop_.unwatch(writer_.event());
  if (timer_) loop_.cancel(*timer_);
}

bool OutputQueue::has_room(std::size_t size, bool needed) {
  const std::size_t before = waiting();
  if (before == 0) dropping_ = false;
  if (before == 0 || writer_.closed()) return true;
  if (needed) return before + size <= kMost + kRoomForNeeded;
  // One long gap is easier to read than many short ones.
  dropping_ = dropping_ ? before + size > kRelieved : before + size > kMost;
  return !dropping_;
}

void OutputQueue::flush() {
  if (added_.empty()) return;
  writer_.write(added_);
  added_.clear();
}

bool OutputQueue::congested() {
  const std::size_t pending = writer_.pending();
  const std::int64_t now = clock_.monotonic_microseconds();
  if (pending <= kRelieved) congested_ = false;
  if (pending > kCongested && !congested_) {
    congested_ = true;
    progress_at_ = now;
    writer_.notify_at(kRelieved);
  }
  if (!congested_) return false;
  if (const std::uint64_t written = writer_.written(); written != written_) {
    written_ = written;
    progress_at_ = now;
  }
  const std::int64_t stuck_at = progress_at_ + kStuck;
  if (now >= stuck_at) return false;
  if (!timer_) timer_ = loop_.after(stuck_at - now, [this] { timer_.reset(); });
  return true;
}

bool OutputQueue::finish(std::int64_t timeout, int stop) {
  flush();
  return writer_.finish(timeout, stop);
}

}  // namespace metaflow::runtime
