// What attempts elsewhere wait for, told to people: when it changes, with a clock, and once for many of them.
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
  static constexpr std::int64_t kGather = 500'000;          // microseconds in which the same of several is one notice
  static constexpr std::int64_t kRepeatEvery = 60'000'000;  // while something still waits

  Notices(base::EventLoop& loop, base::Clock& clock, BackendEvents& events)
      : loop_(loop), clock_(clock), events_(events) {}
  ~Notices();
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;

  /// Told soon, once. `usual`: nothing is wrong.
  void tell(AttemptId attempt, const std::string& step, const std::string& text, bool usual = false);
  /// The attempt waits for this from now on. Told if it is new, and no other attempt of the step waited for it in the
  /// last minute: where there is room for some at a time, each waits a little. Again each minute.
  void waits(AttemptId attempt, const std::string& step, const std::string& text);
  /// It waits no longer, or is over: nothing more is told of it.
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
  std::map<Kind, std::int64_t> told_;  // when last
  std::map<Kind, std::vector<AttemptId>> fresh_;
  std::map<AttemptId, Waiting> waiting_;
  std::optional<base::EventLoop::Timer> flushing_;
  std::optional<base::EventLoop::Timer> repeating_;
};

}  // namespace metaflow::compute
