#include "net/token_bucket.h"

#include <algorithm>
#include <cmath>

namespace metaflow::net {

std::int64_t TokenBucket::take(std::int64_t now) {
  if (used_) tokens_ = std::min(most_, tokens_ + rate_ * static_cast<double>(now - last_) * 1e-6);
  used_ = true;
  last_ = now;
  if (tokens_ < 1) return static_cast<std::int64_t>(std::ceil((1 - tokens_) / rate_ * 1e6));
  tokens_ -= 1;
  return 0;
}

}  // namespace metaflow::net
