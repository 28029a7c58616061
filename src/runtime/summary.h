// A run in numbers, for the commands that show it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/journal.h"

namespace metaflow::runtime {

/// The tasks of one step.
struct StepSummary : store::StepHistory {
  std::string step;

  std::uint64_t left() const;
  /// Microseconds until the known tasks are done, at the rate so far; -1: unknown.
  std::int64_t time_left(std::int64_t now) const;
};

/// Per step, in the order given; steps that `order` does not have come last.
std::vector<StepSummary> summarise(const store::RunHistory& history, const std::vector<std::string>& order);

/// "0:01:12", of microseconds.
std::string clock_time(std::int64_t microseconds);

}  // namespace metaflow::runtime
