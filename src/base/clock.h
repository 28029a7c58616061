// Clocks, and unique time stamps.
#pragma once

#include <cstdint>
#include <string>

namespace metaflow::base {

/// The source of time; tests replace it.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t wall_microseconds() = 0;       // since 1970; may jump
  virtual std::int64_t monotonic_microseconds() = 0;  // since an arbitrary point; never decreases
  /// As monotonic_microseconds, but includes the time that the machine was suspended: for timeouts shared with others.
  virtual std::int64_t boot_microseconds() = 0;
};

/// The system's clocks.
class SystemClock : public Clock {
 public:
  std::int64_t wall_microseconds() override;
  std::int64_t monotonic_microseconds() override;
  std::int64_t boot_microseconds() override;
};

/// Wall-clock microseconds that strictly increase: no two objects or log lines get the same stamp, even if the clock
/// jumps.
class Stamps {
 public:
  explicit Stamps(Clock& clock) : clock_(clock) {}
  std::int64_t next();

 private:
  Clock& clock_;
  std::int64_t last_ = 0;
};

/// "2026-11-22 12:26:10.827", local time.
std::string local_time(std::int64_t microseconds);
/// "2026-11-22T12:26:10.827123", UTC, always six digits.
std::string utc_time(std::int64_t microseconds);

}  // namespace metaflow::base
