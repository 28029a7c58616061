// What tests share: a clock that is set by hand.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace metaflow::base {

class FakeClock : public Clock {
 public:
  std::int64_t wall_microseconds() override { return now; }
  std::int64_t monotonic_microseconds() override { return now; }
  std::int64_t now = 1'700'000'000'000'000;
};

}  // namespace metaflow::base
