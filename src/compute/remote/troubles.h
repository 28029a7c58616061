// Decides when the failures of a service are reported.
#pragma once

#include <cstdint>

namespace metaflow::compute {

/// Reports after some failures in a row, and then once in a while. Not thread-safe.
class Troubles {
 public:
  static constexpr int kInARow = 3;                         // fewer failures are not reported
  static constexpr std::int64_t kReportEvery = 30'000'000;  // microseconds

  /// Adds a failure, and returns whether to report it. `now`: monotonic microseconds.
  bool add(std::int64_t now) {
    if (++count_ < kInARow || (reported_at_ > 0 && now - reported_at_ < kReportEvery)) return false;
    reported_at_ = now;
    return true;
  }
  /// The service has answered.
  void over() { count_ = 0; }

 private:
  std::int64_t reported_at_ = 0;
  int count_ = 0;
};

}  // namespace metaflow::compute
