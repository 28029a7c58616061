// A run in numbers, for the commands that show it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/journal.h"

namespace metaflow::runtime {

/// The state of the tasks of one step.
struct StepSummary {
  std::string step;
  std::uint64_t expected = 0;  // tasks, as far as known
  std::uint64_t done = 0;
  std::uint64_t cloned = 0;
  std::uint64_t running = 0;
  std::uint64_t failed = 0;  // whose last attempt failed
  std::uint64_t attempts_failed = 0;
  std::int64_t began = 0;         // microseconds since 1970; 0: not yet
  std::uint64_t peak_memory = 0;  // bytes, of the largest attempt
  double cpu_seconds = 0;

  std::uint64_t left() const;
  /// Microseconds until the known tasks are done, at the rate so far; -1: unknown.
  std::int64_t time_left(std::int64_t now) const;
};

/// Per step, in the order given; steps that `order` does not have come last.
std::vector<StepSummary> summarise(const store::RunHistory& history, const std::vector<std::string>& order);

/// "0:01:12", of microseconds.
std::string clock_time(std::int64_t microseconds);

}  // namespace metaflow::runtime
