#include "runtime/policy.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

namespace {

constexpr int kFallbacks = 3;                            // Metaflow's number
constexpr std::int64_t kRemoteRetryDelay = 120'000'000;  // Metaflow's default delay between remote attempts

std::int64_t microseconds(double seconds) { return std::llround(seconds * 1e6); }

}  // namespace

int AttemptPolicy::attempts() const { return std::min(user_attempts() + fallbacks, store::kMaxAttempts); }

std::int64_t AttemptPolicy::retry_delay(bool elsewhere) const {
  return delay.value_or(elsewhere ? kRemoteRetryDelay : 0);
}

bool AttemptPolicy::may_grow() const {
  return !once && user_attempts() + 1 + std::min(fallbacks, 1) <= store::kMaxAttempts;
}

AttemptPolicy policy_of(const std::vector<graph::Decorator>& decorators) {
  AttemptPolicy policy;
  if (const auto again = graph::find_decorator<retry>(decorators)) {
    policy.retries = again->times;
    policy.once = again->times == 0;
    if (again->minutes_between_retries) policy.delay = microseconds(*again->minutes_between_retries * 60);
  }
  policy.time_limit = graph::time_limit(decorators);
  policy.caught = graph::find_decorator<catch_>(decorators);
  if (policy.caught) policy.fallbacks = kFallbacks;
  return policy;
}

std::string duration_in_words(std::int64_t microseconds) {
  const std::int64_t seconds = microseconds / 1'000'000;
  const std::string parts = fmt::format("{} hours, {} minutes, ", seconds / 3600, seconds / 60 % 60);
  if (microseconds % 1'000'000 == 0) return fmt::format("{}{} seconds", parts, seconds % 60);
  return fmt::format("{}{:g} seconds", parts, static_cast<double>(microseconds % 60'000'000) * 1e-6);
}

}  // namespace metaflow::runtime
