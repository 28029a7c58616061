// The loop that a scheduler lives in: file descriptors, timers, signals.
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

/// epoll, and a list of timers. Callbacks run in run_once(), one after the other; they may watch, unwatch, start and
/// cancel anything. Not thread-safe.
///
/// No callback may wait for anything: meanwhile signals, time limits and leases are not looked after. What takes its
/// time is BackgroundWork, or asks the loop to call back. Tests find what does wait: see NoWaiting.
class EventLoop {
 public:
  explicit EventLoop(Clock& clock);

  using Place = std::source_location;  // that names a callback where one is complained of

  /// Calls back when the descriptor can be read (or is at its end). It stays the caller's, who unwatches it before
  /// closing it.
  void watch(int fd, std::function<void()> readable, const Place& place = Place::current());
  void unwatch(int fd);

  using Timer = std::uint64_t;
  Timer after(std::int64_t microseconds, std::function<void()> callback, const Place& place = Place::current());
  void cancel(Timer timer);
  /// When the next timer is due, by the monotonic clock; nothing: none is set.
  std::optional<std::int64_t> next_deadline() const;

  /// Waits until something happens, then does what is due.
  void run_once() { run(true); }
  /// Does what is due now, without waiting.
  void poll() { run(false); }

  /// While it lives, waiting is a fault: of callbacks, and of who drives the loop, between two turns.
  ///
  /// METAFLOW_LOOP_WATCHDOG=MILLISECONDS, for tests: this process aborts when a callback, or the time between two
  /// turns, has waited for longer. Time in which a thread of this process was kept off the processor by others does not
  /// count as waiting, nor does an AllowedWait.
  class NoWaiting {
   public:
    explicit NoWaiting(EventLoop& loop);
    /// Tells `told` what waited, instead of aborting. For tests of it.
    NoWaiting(EventLoop& loop, std::int64_t milliseconds, std::function<void(const std::string&)> told);
    ~NoWaiting();
    NoWaiting(const NoWaiting&) = delete;
    NoWaiting& operator=(const NoWaiting&) = delete;

   private:
    EventLoop& loop_;
  };

  /// While it lives, this thread may wait in spite of NoWaiting. For the start of a process alone: the kernel suspends
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
  struct Watchdog;

  void run(bool wait);
  void call(const Callback& callback);

  Clock& clock_;
  Fd epoll_;
  std::unordered_map<int, std::shared_ptr<Callback>> watched_;
  std::map<std::pair<std::int64_t, Timer>, Callback> timers_;  // by deadline
  std::unordered_map<Timer, std::int64_t> deadlines_;
  Timer next_timer_ = 1;
  std::shared_ptr<Watchdog> watchdog_;  // while there is a NoWaiting, and it is wanted
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
