// When a service does not answer: whether that is worth a word.
#pragma once

#include <cstdint>

namespace metaflow::compute {

/// Some troubles in a row, and then once in a while. Not thread-safe.
class Troubles {
 public:
  static constexpr int kInARow = 3;                       // fewer are not worth a word
  static constexpr std::int64_t kTellEvery = 30'000'000;  // microseconds

  /// One more; whether to tell of it. `now`: monotonic microseconds.
  bool add(std::int64_t now) {
    if (++count_ < kInARow || (told_at_ > 0 && now - told_at_ < kTellEvery)) return false;
    told_at_ = now;
    return true;
  }
  /// The service has answered.
  void over() { count_ = 0; }

 private:
  std::int64_t told_at_ = 0;
  int count_ = 0;
};

}  // namespace metaflow::compute
