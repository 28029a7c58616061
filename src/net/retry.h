// When to try a request again, and how long to wait before.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "net/http.h"

namespace metaflow::net {

/// Whether another try of a request that may be repeated can help: no connection, a lost one, a server that is
/// overloaded (429, 503) or broken (500, 502, 504).
bool is_transient(const Response& response);

/// The Retry-After header, in microseconds from `now` (microseconds since 1970); nothing if there is none. It is either
/// seconds or a date.
std::optional<std::int64_t> retry_after(const Response& response, std::int64_t now);

struct RetryOptions {
  int tries = 8;                            // in all
  std::int64_t first_pause = 100'000;       // microseconds; twice as long each time,
  std::int64_t longest_pause = 20'000'000;  // up to this
  std::int64_t longest_wait = 120'000'000;  // a server may ask for so much by Retry-After
  double budget = 500;                      // tokens of RetryBudget
};

/// Shared by the requests of a client: each further try takes a token, each success gives a tenth of one back. A server
/// that is down gets few requests more than one that is up.
class RetryBudget {
 public:
  explicit RetryBudget(double tokens) : tokens_(tokens), most_(tokens) {}
  bool take();
  void give_back();

 private:
  double tokens_;
  double most_;
};

/// The tries of one request.
class Retry {
 public:
  /// `random`: in [0, 1).
  Retry(const RetryOptions& options, RetryBudget& budget, std::function<double()> random)
      : options_(options), budget_(budget), random_(std::move(random)) {}

  /// After a try that failed in a way that another one may cure: the microseconds to wait, or nothing if it is enough.
  /// The pause is random up to a limit that doubles ("full jitter"); `server`: what Retry-After asked for.
  std::optional<std::int64_t> next_pause(std::optional<std::int64_t> server = std::nullopt);
  void succeeded() { budget_.give_back(); }
  int tries() const { return tries_; }  // that failed

 private:
  const RetryOptions& options_;
  RetryBudget& budget_;
  std::function<double()> random_;
  int tries_ = 0;
};

/// Random numbers in [0, 1), different in every process.
std::function<double()> jitter();

}  // namespace metaflow::net
