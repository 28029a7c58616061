// The loop that a scheduler lives in: file descriptors, timers, signals.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/files.h"

namespace metaflow::base {

/// epoll, and a list of timers. Callbacks run in run_once(), one after the other; they may watch, unwatch, start and
/// cancel anything. Not thread-safe.
class EventLoop {
 public:
  explicit EventLoop(Clock& clock);

  /// Calls back when the descriptor can be read (or is at its end). It stays the caller's, who unwatches it before
  /// closing it.
  void watch(int fd, std::function<void()> readable);
  void unwatch(int fd);

  using Timer = std::uint64_t;
  Timer after(std::int64_t microseconds, std::function<void()> callback);
  void cancel(Timer timer);
  /// When the next timer is due, by the monotonic clock; nothing: none is set.
  std::optional<std::int64_t> next_deadline() const;

  /// Waits until something happens, then does what is due.
  void run_once() { run(true); }
  /// Does what is due now, without waiting.
  void poll() { run(false); }

 private:
  void run(bool wait);

  Clock& clock_;
  Fd epoll_;
  std::unordered_map<int, std::shared_ptr<std::function<void()>>> watched_;
  std::map<std::pair<std::int64_t, Timer>, std::function<void()>> timers_;  // by deadline
  std::unordered_map<Timer, std::int64_t> deadlines_;
  Timer next_timer_ = 1;
};

/// Signals as something that can be read: blocked for the process (children of ours get them unblocked), until this is
/// gone. Signals that are ignored stay ignored.
class SignalReader {
 public:
  explicit SignalReader(const std::vector<int>& signals);
  ~SignalReader();
  int fd() const { return fd_.get(); }
  /// The next one that came; 0 if there is none.
  int next();

 private:
  std::vector<int> signals_;
  Fd fd_;
};

}  // namespace metaflow::base
