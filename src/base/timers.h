// Event loop timers that are owned by an object and cancelled with it.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_set>
#include <utility>

#include "base/event_loop.h"

namespace metaflow::base {

/// Not thread-safe. The loop must outlive this object.
class Timers {
 public:
  using Timer = EventLoop::Timer;

  explicit Timers(EventLoop& loop) : loop_(loop) {}
  ~Timers() {
    for (const Timer timer : pending_) loop_.cancel(timer);
  }
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  Timer after(std::int64_t microseconds, std::function<void()> callback,
              const EventLoop::Place& place = EventLoop::Place::current());
  void cancel(Timer timer) {
    if (pending_.erase(timer) > 0) loop_.cancel(timer);
  }

 private:
  EventLoop& loop_;
  std::unordered_set<Timer> pending_;
};

}  // namespace metaflow::base
