#include "net/page_tokens.h"

#include <gtest/gtest.h>

#include <string>

namespace metaflow::net {
namespace {

TEST(PageTokens, EndlessPagesAreNotFollowed) {
  PageTokens repeated;
  EXPECT_TRUE(repeated.add("a"));
  EXPECT_TRUE(repeated.add("b"));
  EXPECT_FALSE(repeated.add("a"));

  PageTokens empty;
  for (std::size_t i = 0; i < PageTokens::kMaxEmptyPages; ++i)
    ASSERT_TRUE(empty.add(std::to_string(i), /*is_empty=*/true));
  EXPECT_FALSE(empty.add("x", /*is_empty=*/true));

  PageTokens endless;
  for (std::size_t i = 0; i < PageTokens::kMaxPages; ++i) ASSERT_TRUE(endless.add(std::to_string(i)));
  EXPECT_FALSE(endless.add("x"));
}

}  // namespace
}  // namespace metaflow::net
