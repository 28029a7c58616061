// The event loop of a scheduler: file descriptors, timers, signals.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/files.h"

namespace metaflow::base {

class LoopWatchdog;

/// Based on epoll, with a list of timers. Callbacks run in run_once(), one at a time; they may watch, unwatch, start
/// and cancel anything. Not thread-safe.
///
/// A callback must not block: signals, timeouts and leases are not handled meanwhile. Long operations use
/// BackgroundWork or timers. Tests detect blocking callbacks: see NoWaiting.
class EventLoop {
 public:
  explicit EventLoop(Clock& clock);

  using Place = std::source_location;  // identifies a callback in error messages

  /// Calls `readable` when the descriptor is readable or at its end. The caller keeps ownership of the descriptor, and
  /// calls unwatch before closing it.
  void watch(int fd, std::function<void()> readable, const Place& place = Place::current());
  void unwatch(int fd);

  using Timer = std::uint64_t;
  Timer after(std::int64_t microseconds, std::function<void()> callback, const Place& place = Place::current());
  void cancel(Timer timer);
  /// The deadline of the next timer, by the monotonic clock; nothing if no timer is set.
  std::optional<std::int64_t> next_deadline() const;

  /// Waits for the next event, then runs all callbacks that are due.
  void run_once() { run(true); }
  /// Runs the callbacks that are due, without waiting.
  void poll() { run(false); }

  /// While it lives, blocking is an error: in callbacks, and in the loop's caller between two turns.
  ///
  /// METAFLOW_LOOP_WATCHDOG=MILLISECONDS, for tests: the process aborts when a callback, or the time between two turns,
  /// blocks for longer. What does not count, such as an AllowedWait: LoopWatchdog.
  class NoWaiting {
   public:
    explicit NoWaiting(EventLoop& loop);
    /// Reports the blocking callback to `report` instead of aborting. For its own tests.
    NoWaiting(EventLoop& loop, std::int64_t milliseconds, std::function<void(const std::string&)> report);
    ~NoWaiting();
    NoWaiting(const NoWaiting&) = delete;
    NoWaiting& operator=(const NoWaiting&) = delete;

   private:
    EventLoop& loop_;
  };

  /// While it lives, this thread may block in spite of NoWaiting. Only for the start of a process: the kernel suspends
  /// the caller until the new program begins, and on a busy host that program waits for a processor.
  class AllowedWait {
   public:
    AllowedWait();
    ~AllowedWait();
    AllowedWait(const AllowedWait&) = delete;
    AllowedWait& operator=(const AllowedWait&) = delete;

   private:
    std::int64_t begin_;
  };

 private:
  struct Callback {
    std::function<void()> function;
    Place place;
  };

  void run(bool wait);
  void call(const Callback& callback);

  Clock& clock_;
  Fd epoll_;
  std::unordered_map<int, std::shared_ptr<Callback>> watched_;
  std::map<std::pair<std::int64_t, Timer>, Callback> timers_;  // by deadline
  std::unordered_map<Timer, std::int64_t> deadlines_;
  Timer next_timer_ = 1;
  std::shared_ptr<LoopWatchdog> watchdog_;  // set while a NoWaiting is active
};

/// Turns signals into a readable descriptor: they are blocked in this process (its children get them unblocked) during
/// the lifetime of this object. Ignored signals stay ignored.
class SignalReader {
 public:
  explicit SignalReader(const std::vector<int>& signals);
  ~SignalReader();
  int fd() const { return fd_.get(); }
  /// The next pending signal; 0 if there is none.
  int next();

 private:
  std::vector<int> signals_;
  Fd fd_;
};

}  // namespace metaflow::base
