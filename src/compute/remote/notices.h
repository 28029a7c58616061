// Notices about what attempts elsewhere wait for: when it changes, each minute while they wait, and once for many of
// them.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/backend.h"

namespace metaflow::compute {

/// Not thread-safe; lives in the scheduler's event loop.
class Notices {
 public:
  static constexpr std::int64_t kGather = 500'000;          // microseconds in which equal notices are merged
  static constexpr std::int64_t kRepeatEvery = 60'000'000;  // while something still waits

  Notices(base::EventLoop& loop, base::Clock& clock, BackendEvents& events)
      : loop_(loop), clock_(clock), events_(events) {}
  ~Notices();
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;

  /// Reports a text once, soon. `usual`: nothing is wrong.
  void report(AttemptId attempt, const std::string& step, const std::string& text, bool usual = false);
  /// Sets what the attempt waits for. Reports it if it is new and no other attempt of the step waited for it in the
  /// last minute: where there is room for some at a time, each waits a little. Repeats it each minute.
  void set_waiting(AttemptId attempt, const std::string& step, const std::string& text);
  /// Drops all notices of an attempt that no longer waits, or is over.
  void clear(AttemptId attempt);

 private:
  struct Waiting {
    std::string step;
    std::string text;
    std::int64_t since = 0;
  };
  struct Kind {
    std::string step;
    std::string text;
    bool usual = false;
    auto operator<=>(const Kind&) const = default;
  };

  void flush();
  void repeat();
  void gather();

  base::EventLoop& loop_;
  base::Clock& clock_;
  BackendEvents& events_;
  std::map<Kind, std::int64_t> reported_;  // last time
  std::map<Kind, std::vector<AttemptId>> fresh_;
  std::map<AttemptId, Waiting> waiting_;
  std::optional<base::EventLoop::Timer> flushing_;
  std::optional<base::EventLoop::Timer> repeating_;
};

}  // namespace metaflow::compute
