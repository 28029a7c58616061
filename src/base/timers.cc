#include "base/timers.h"

#include <memory>

namespace metaflow::base {

Timers::Timer Timers::after(std::int64_t microseconds, std::function<void()> callback, const EventLoop::Place& place) {
  const auto timer = std::make_shared<Timer>(0);
  *timer = loop_.after(
      microseconds,
      [this, timer, callback = std::move(callback)] {
        pending_.erase(*timer);
        callback();
      },
      place);
  pending_.insert(*timer);
  return *timer;
}

}  // namespace metaflow::base
