#include "net/token_bucket.h"

#include <gtest/gtest.h>

namespace metaflow::net {
namespace {

TEST(TokenBucket, BurstThenRate) {
  TokenBucket bucket(10, 2);
  EXPECT_EQ(bucket.take(1'000'000), 0);
  EXPECT_EQ(bucket.take(1'000'000), 0);
  EXPECT_EQ(bucket.take(1'000'000), 100'000);
  EXPECT_EQ(bucket.take(1'050'000), 50'000);
  EXPECT_EQ(bucket.take(1'100'000), 0);
  EXPECT_GT(bucket.take(1'100'000), 0);
  // The number of saved tokens is limited.
  EXPECT_EQ(bucket.take(100'000'000), 0);
  EXPECT_EQ(bucket.take(100'000'000), 0);
  EXPECT_GT(bucket.take(100'000'000), 0);
}

}  // namespace
}  // namespace metaflow::net
