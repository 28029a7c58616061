// What a step's decorators say about its attempts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/decorators.h"

namespace metaflow::runtime {

/// How often a task is tried, and for how long. Attempts count from 0: the first `user_attempts()` call the step; what
/// may follow is the last resort of catch, which only notes that the step failed.
struct AttemptPolicy {
  int retries = 0;                    // user attempts after the first
  int fallbacks = 0;                  // last resorts: more than one, since they, too, are processes that may die
  std::optional<std::int64_t> pause;  // microseconds between user attempts, if that was said
  std::int64_t time_limit = 0;        // microseconds per user attempt; 0: none
  std::optional<catch_> caught;       // what to do with the failure of the last user attempt
  bool once = false;                  // retry{.times = 0}: its user attempt must not be repeated, whatever ended it

  /// Microseconds to wait before the next user attempt. `elsewhere`: the one that failed was on another machine, where
  /// what it failed of may take its time to pass.
  std::int64_t pause_after(bool elsewhere) const;

  int user_attempts() const { return retries + 1; }
  int attempts() const;
  bool is_fallback(int attempt) const { return attempt > retries; }
  /// Whether one more user attempt is possible: Metaflow's clients know of few attempts, and catch needs one of them.
  bool may_grow() const;
};

AttemptPolicy policy_of(const std::vector<graph::Decorator>& decorators);

/// "0 hours, 1 minutes, 30 seconds": Metaflow's words.
std::string duration_in_words(std::int64_t microseconds);

}  // namespace metaflow::runtime
