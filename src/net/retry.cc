#include "net/retry.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <random>

#include "base/iso_time.h"

namespace metaflow::net {

bool is_transient(const Response& response) {
  if (response.failure) {
    switch (response.failure->cause) {
      case Cause::resolve:
      case Cause::connect:
      case Cause::timeout:
      case Cause::reset:
      case Cause::truncated: return true;
      case Cause::other: return response.failure->may_have_arrived;  // else the request itself is invalid
      case Cause::tls:                                               // a certificate stays invalid
      case Cause::sink:
      case Cause::body: return false;
    }
  }
  switch (response.status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504: return true;
    default: return false;
  }
}

std::optional<std::int64_t> retry_after(const Response& response, std::int64_t now) {
  const auto value = response.header("retry-after");
  if (!value) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), seconds);
  if (error == std::errc() && end == value->data() + value->size())
    return std::clamp<std::int64_t>(seconds, 0, 1'000'000) * 1'000'000;
  const auto date = base::parse_http_date(*value);
  if (!date) return std::nullopt;
  return std::max<std::int64_t>(*date * 1'000'000 - now, 0);
}

bool RetryBudget::take() {
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

void RetryBudget::give_back() { tokens_ = std::min(tokens_ + 0.1, most_); }

std::optional<std::int64_t> Retry::next_delay(std::optional<std::int64_t> server) {
  ++tries_;
  if (tries_ >= options_.tries || !budget_.take()) return std::nullopt;
  const double limit = std::min(static_cast<double>(options_.max_delay),
                                static_cast<double>(options_.first_delay) * std::ldexp(1.0, std::min(tries_ - 1, 40)));
  const auto delay = static_cast<std::int64_t>(limit * random_());
  if (!server) return delay;
  // The server's value plus a random delay, so that clients do not return all at once.
  return std::min(*server, options_.max_retry_after) + delay;
}

std::function<double()> jitter() {
  return [engine = std::mt19937_64(std::random_device{}())]() mutable {
    return static_cast<double>(engine() >> 11U) * 0x1p-53;
  };
}

}  // namespace metaflow::net
