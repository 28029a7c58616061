// Finds what blocks an event loop. For tests: see EventLoop::NoWaiting.
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <source_location>
#include <string>

namespace metaflow::base {

/// Measures one stretch of the loop's thread after the other, by the machine's clocks. A stretch that has waited for
/// longer than the limit is reported, with the stack at that time. Not counted: work, an AllowedWait, time in which a
/// thread of the process waited for a processor, what the hypervisor took from the machine, and socket(2), which waits
/// for nothing but the kernel. Lives in one thread.
class LoopWatchdog {
 public:
  LoopWatchdog(std::int64_t milliseconds, std::function<void(const std::string&)> report);
  ~LoopWatchdog();
  LoopWatchdog(const LoopWatchdog&) = delete;
  LoopWatchdog& operator=(const LoopWatchdog&) = delete;

  void begin();
  /// Ends the stretch. `place`: of the callback; null: the loop's caller.
  void check(const std::source_location* place);

  /// For EventLoop::AllowedWait. Nanoseconds.
  static std::int64_t now();
  static void allow(std::int64_t nanoseconds);

 private:
  void set_timer(std::int64_t nanoseconds);
  /// After the limit: the signal that takes the stack may end a wait, which then has been too long already.
  std::int64_t time_of_stack() const { return limit_ + limit_ / 2; }

  std::int64_t limit_;  // nanoseconds, as all times here
  std::function<void(const std::string&)> report_;
  std::int64_t wall_ = 0;
  std::int64_t worked_ = 0;
  std::map<std::string, std::int64_t> delays_{};  // by thread
  std::int64_t allowed_ = 0;
  std::int64_t stolen_ = 0;
  rusage usage_{};
  timer_t timer_{};
  bool has_timer_ = false;
};

}  // namespace metaflow::base
