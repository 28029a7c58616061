// Time, and stamps that order what happens at the same time.
#pragma once

#include <cstdint>
#include <string>

namespace metaflow::base {

/// Where time comes from; tests give their own.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t wall_microseconds() = 0;       // since 1970; may jump
  virtual std::int64_t monotonic_microseconds() = 0;  // since some point; never goes back
  /// The same, which also counts the time that the machine was suspended: for what holds between machines.
  virtual std::int64_t boot_microseconds() = 0;
};

/// The system's clocks.
class SystemClock : public Clock {
 public:
  std::int64_t wall_microseconds() override;
  std::int64_t monotonic_microseconds() override;
  std::int64_t boot_microseconds() override;
};

/// Wall-clock microseconds that strictly increase: no two objects or log lines get the same one, whatever the clock
/// does.
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
