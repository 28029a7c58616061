// Limits the rate of a client's calls.
#pragma once

#include <cstdint>

namespace metaflow::net {

/// Gains `rate` tokens per second, up to `most`. Times are in microseconds, from any clock that never decreases.
class TokenBucket {
 public:
  TokenBucket(double rate, double most) : rate_(rate), most_(most), tokens_(most) {}

  /// Takes a token and returns 0; if there is none, returns the microseconds until there is one.
  std::int64_t take(std::int64_t now);

 private:
  double rate_;
  double most_;
  double tokens_;
  std::int64_t last_ = 0;
  bool used_ = false;
};

}  // namespace metaflow::net
