// The retry policy of requests: whether to retry, and after which delay.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "net/http.h"

namespace metaflow::net {

/// Whether a retry of a repeatable request may succeed: no connection, a lost one, a server that is overloaded (429,
/// 503) or broken (500, 502, 504).
bool is_transient(const Response& response);

/// The Retry-After header, in microseconds from `now` (microseconds since 1970); nothing if there is none. The header
/// has seconds or a date.
std::optional<std::int64_t> retry_after(const Response& response, std::int64_t now);

struct RetryOptions {
  int tries = 8;                               // attempts in all
  std::int64_t first_delay = 100'000;          // microseconds; doubles with each retry
  std::int64_t max_delay = 20'000'000;         // microseconds
  std::int64_t max_retry_after = 120'000'000;  // microseconds; limit of Retry-After
  double budget = 500;                         // tokens of RetryBudget
};

/// Shared by the requests of a client: each retry takes a token, each success returns a tenth of one. So a server that
/// is down gets few more requests than one that is up.
class RetryBudget {
 public:
  explicit RetryBudget(double tokens) : tokens_(tokens), most_(tokens) {}
  bool take();
  void give_back();

 private:
  double tokens_;
  double most_;
};

/// The attempts of one request.
class Retry {
 public:
  /// `random`: in [0, 1).
  Retry(const RetryOptions& options, RetryBudget& budget, std::function<double()> random)
      : options_(options), budget_(budget), random_(std::move(random)) {}

  /// After a failed attempt that may be retried: the delay in microseconds, or nothing to give up. The delay is random
  /// below a limit that doubles ("full jitter"); `server`: the value of Retry-After.
  std::optional<std::int64_t> next_delay(std::optional<std::int64_t> server = std::nullopt);
  void succeeded() { budget_.give_back(); }
  int tries() const { return tries_; }  // failed attempts

 private:
  const RetryOptions& options_;
  RetryBudget& budget_;
  std::function<double()> random_;
  int tries_ = 0;
};

/// Random numbers in [0, 1), different in every process.
std::function<double()> jitter();

}  // namespace metaflow::net
