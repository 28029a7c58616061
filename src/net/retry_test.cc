#include "net/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace metaflow::net {
namespace {

using testing::Optional;

Response status(int code) { return {.status = code}; }
Response failed(Cause cause) { return {.failure = Failure{.cause = cause}}; }

TEST(Retry, TransientFailures) {
  for (const int code : {429, 500, 502, 503, 504}) EXPECT_TRUE(is_transient(status(code))) << code;
  for (const int code : {200, 301, 400, 403, 404, 409, 412, 501}) EXPECT_FALSE(is_transient(status(code))) << code;
  for (const Cause cause : {Cause::resolve, Cause::connect, Cause::timeout, Cause::reset, Cause::truncated})
    EXPECT_TRUE(is_transient(failed(cause))) << static_cast<int>(cause);
  for (const Cause cause : {Cause::tls, Cause::sink, Cause::body}) EXPECT_FALSE(is_transient(failed(cause)));
  Response cut_off = failed(Cause::truncated);
  cut_off.status = 200;
  EXPECT_TRUE(is_transient(cut_off));
}

TEST(Retry, DelaysDoubleUpToALimit) {
  RetryBudget budget(100);
  const RetryOptions options{.tries = 6, .first_delay = 100, .max_delay = 500};
  Retry retry(options, budget, [] { return 0.5; });
  EXPECT_THAT(retry.next_delay(), Optional(50));
  EXPECT_THAT(retry.next_delay(), Optional(100));
  EXPECT_THAT(retry.next_delay(), Optional(200));
  EXPECT_THAT(retry.next_delay(), Optional(250));
  EXPECT_THAT(retry.next_delay(), Optional(250));
  EXPECT_EQ(retry.next_delay(), std::nullopt) << "six attempts in all";
}

TEST(Retry, TheServerMayRequestALongerDelay) {
  RetryBudget budget(100);
  const RetryOptions options{.first_delay = 100, .max_retry_after = 10'000};
  Retry retry(options, budget, [] { return 0.5; });
  EXPECT_THAT(retry.next_delay(7'000), Optional(7'050));
  EXPECT_THAT(retry.next_delay(1'000'000'000), Optional(10'100));
}

TEST(Retry, ASharedBudget) {
  RetryBudget budget(2);
  const RetryOptions options{};
  auto random = [] { return 0.0; };
  Retry first(options, budget, random);
  Retry second(options, budget, random);
  EXPECT_TRUE(first.next_delay());
  EXPECT_TRUE(second.next_delay());
  EXPECT_FALSE(first.next_delay());
  for (int i = 0; i < 11; ++i) second.succeeded();
  EXPECT_TRUE(first.next_delay());
  EXPECT_FALSE(first.next_delay());
}

TEST(Retry, RetryAfter) {
  auto with = [](const std::string& value) { return Response{.headers = {{"retry-after", value}}}; };
  EXPECT_EQ(retry_after({}, 0), std::nullopt);
  EXPECT_THAT(retry_after(with("3"), 0), Optional(3'000'000));
  EXPECT_EQ(retry_after(with("soon"), 0), std::nullopt);
  EXPECT_EQ(retry_after(with("3x"), 0), std::nullopt);
  EXPECT_THAT(retry_after(with("Sun, 06 Nov 1994 08:49:37 GMT"), 784111770'000'000), Optional(7'000'000));
  EXPECT_THAT(retry_after(with("Sun, 06 Nov 1994 08:49:37 GMT"), 784111780'000'000), Optional(0));
}

TEST(Retry, JitterIsEvenlySpread) {
  const auto random = jitter();
  double sum = 0;
  for (int i = 0; i < 1000; ++i) {
    const double value = random();
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    sum += value;
  }
  EXPECT_NEAR(sum / 1000, 0.5, 0.1);
}

}  // namespace
}  // namespace metaflow::net
