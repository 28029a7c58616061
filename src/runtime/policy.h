// The retry policy of a step, from its decorators.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/decorators.h"

namespace metaflow::runtime {

/// How many attempts a task may have, and how long each may take. Attempts count from 0: the first `user_attempts()`
/// call the step. The fallback attempts of `catch` may follow; they only record that the step failed.
struct AttemptPolicy {
  int retries = 0;                    // user attempts after the first
  int fallbacks = 0;                  // fallback attempts; several, since these processes may die, too
  std::optional<std::int64_t> delay;  // microseconds between user attempts; nothing: not set
  std::int64_t time_limit = 0;        // microseconds per user attempt; 0: none
  std::optional<catch_> caught;       // the `catch` decorator, if there is one
  bool once = false;  // retry{.times = 0}: the user attempt must never be repeated, not even after its node was lost

  /// Microseconds to wait before the next user attempt. `elsewhere`: the failed attempt ran on another machine, where
  /// the cause of the failure may take some time to pass.
  std::int64_t retry_delay(bool elsewhere) const;

  int user_attempts() const { return retries + 1; }
  int attempts() const;
  bool is_fallback(int attempt) const { return attempt > retries; }
  /// Whether one more user attempt is possible. Metaflow's clients know of few attempts, and `catch` needs one of them.
  bool may_grow() const;
};

AttemptPolicy policy_of(const std::vector<graph::Decorator>& decorators);

/// "0 hours, 1 minutes, 30 seconds": Metaflow's words.
std::string duration_in_words(std::int64_t microseconds);

}  // namespace metaflow::runtime
