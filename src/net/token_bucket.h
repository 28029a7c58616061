// How many calls a client makes in a while.
#pragma once

#include <cstdint>

namespace metaflow::net {

/// `rate` tokens come in each second, up to `most` are kept. Time is given in microseconds, from any clock that does
/// not go back.
class TokenBucket {
 public:
  TokenBucket(double rate, double most) : rate_(rate), most_(most), tokens_(most) {}

  /// Takes a token and gives back 0, or, if there is none, the microseconds until there is one.
  std::int64_t take(std::int64_t now);

 private:
  double rate_;
  double most_;
  double tokens_;
  std::int64_t last_ = 0;
  bool used_ = false;
};

}  // namespace metaflow::net
