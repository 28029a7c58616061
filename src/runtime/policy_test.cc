#include "runtime/policy.h"

#include <gtest/gtest.h>

#include "compute/platform.h"
#include "store/flow_store.h"

namespace metaflow::runtime {
namespace {

AttemptPolicy policy(const std::vector<std::string>& specs) {
  std::vector<graph::Decorator> decorators;
  for (const std::string& spec : specs) decorators.push_back(compute::platforms().decorators().parse(spec));
  return policy_of(decorators);
}

TEST(Policy, WithoutDecoratorsOneAttempt) {
  const AttemptPolicy plain = policy({});
  EXPECT_EQ(plain.attempts(), 1);
  EXPECT_EQ(plain.time_limit, 0);
  EXPECT_EQ(plain.retry_delay(false), 0);
  EXPECT_FALSE(plain.is_fallback(0));
}

TEST(Policy, Retry) {
  const AttemptPolicy again = policy({"retry:times=3,minutes_between_retries=0.5"});
  EXPECT_EQ(again.user_attempts(), 4);
  EXPECT_EQ(again.attempts(), 4);
  EXPECT_EQ(again.retry_delay(false), 30'000'000);
  EXPECT_EQ(again.retry_delay(true), 30'000'000);
}

TEST(Policy, LocalRetriesHaveNoDelayByDefault) {
  EXPECT_EQ(policy({"retry"}).retry_delay(false), 0);
  EXPECT_EQ(policy({"retry"}).retry_delay(true), 120'000'000);
  EXPECT_EQ(policy({"retry:minutes_between_retries=0"}).retry_delay(true), 0);
}

TEST(Policy, CatchAddsFallbackAttempts) {
  const AttemptPolicy caught = policy({"retry:times=1", "catch"});
  EXPECT_EQ(caught.user_attempts(), 2);
  EXPECT_EQ(caught.attempts(), 5);
  EXPECT_FALSE(caught.is_fallback(1));
  EXPECT_TRUE(caught.is_fallback(2));
}

TEST(Policy, AttemptsAreLimitedToThoseOfMetaflow) {
  EXPECT_EQ(policy({"retry:times=4", "catch"}).attempts(), store::kMaxAttempts);
}

TEST(Policy, LostAttemptMayBeRerunIfARetryFits) {
  EXPECT_TRUE(policy({}).may_grow());
  EXPECT_TRUE(policy({"retry:times=4"}).may_grow());
  EXPECT_TRUE(policy({"retry:times=3", "catch"}).may_grow());
  EXPECT_FALSE(policy({"retry:times=4", "catch"}).may_grow()) << "the fallback needs an attempt";
  EXPECT_FALSE(policy({"retry:times=0"}).may_grow()) << "it must not be executed twice";
}

TEST(Policy, TimeLimitsAddUp) { EXPECT_EQ(policy({"timeout:seconds=1,minutes=1,hours=1"}).time_limit, 3'661'000'000); }

TEST(Policy, DurationsInMetaflowsWords) {
  EXPECT_EQ(duration_in_words(90'000'000), "0 hours, 1 minutes, 30 seconds");
  EXPECT_EQ(duration_in_words(3'600'000'000), "1 hours, 0 minutes, 0 seconds");
  EXPECT_EQ(duration_in_words(1'500'000), "0 hours, 0 minutes, 1.5 seconds");
}

}  // namespace
}  // namespace metaflow::runtime
