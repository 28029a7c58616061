#include "cli/timeline_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace metaflow::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(TimelinePage, DataCannotEndTheScript) {
  const std::string page = timeline_page(R"({"cause":"<!--<script></script>"})");
  EXPECT_THAT(page, HasSubstr(R"({"cause":"\u003c!--\u003cscript>\u003c/script>"})"));
  EXPECT_THAT(page, Not(HasSubstr("/*DATA*/")));
  EXPECT_EQ(page.find("</script>"), page.rfind("</script>"));
}

}  // namespace
}  // namespace metaflow::cli
