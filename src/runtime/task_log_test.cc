#include "runtime/task_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/failure_points.h"
#include "base/testing.h"

namespace metaflow::runtime {
namespace {

using store::Stream;
using testing::EndsWith;
using testing::HasSubstr;

constexpr std::uint64_t kMegabyte = 1'000'000;

class TaskLogTest : public testing::Test {
 protected:
  ~TaskLogTest() override { base::set_failure_point(""); }

  /// Adds `bytes` bytes in lines; the last one is "last".
  void fill(TaskLog& log, std::size_t bytes) {
    const std::string line(1000, 'x');
    std::string lines;
    for (std::size_t i = 0; i < 100; ++i) lines += line + "\n";
    for (std::size_t added = 0; added < bytes; added += lines.size()) log.add(Stream::out, lines, show_);
    log.add(Stream::out, "last\n", show_);
  }
  static std::string text(TaskLog& log) { return std::string(log.content(Stream::out).text()); }

  base::FakeClock clock_;
  base::Stamps stamps_{clock_};
  std::size_t shown_ = 0;
  TaskLog::Show show_ = [this](Stream, std::string_view, std::int64_t) { ++shown_; };
};

TEST_F(TaskLogTest, LongLogIsKeptInMemoryWithoutAFile) {
  base::set_failure_point("create:ENOSPC:1:sticky");
  TaskLog log(stamps_, 10 * kMegabyte);
  fill(log, kMegabyte);
  const std::string kept = text(log);
  EXPECT_EQ(std::count(kept.begin(), kept.end(), '\n'), 1001);
  EXPECT_THAT(kept, EndsWith("last\n"));
}

TEST_F(TaskLogTest, DiskFillsUpWhileTheLogGrows) {
  base::set_failure_point("write:ENOSPC:2:sticky");
  TaskLog log(stamps_, 10 * kMegabyte);
  fill(log, kMegabyte);
  const std::string kept = text(log);
  EXPECT_EQ(std::count(kept.begin(), kept.end(), '\n'), 1001);
  EXPECT_THAT(kept, EndsWith("last\n"));
  base::set_failure_point("");  // there is room again
  fill(log, kMegabyte);
  const std::string whole = text(log);
  EXPECT_TRUE(whole.starts_with(kept));
  EXPECT_EQ(std::count(whole.begin(), whole.end(), '\n'), 2002);
}

TEST_F(TaskLogTest, LogWithoutRoomIsShownAndTruncated) {
  base::set_failure_point("create:ENOSPC:1:sticky");
  TaskLog log(stamps_, 1000 * kMegabyte);
  fill(log, GrowingText::kMostInMemory);
  EXPECT_GT(shown_, 64'000U);
  const std::string kept = text(log);
  EXPECT_THAT(kept.substr(kept.size() - 200), HasSubstr("[TRUNCATED - NO ROOM"));
  EXPECT_LE(kept.size(), GrowingText::kMostInMemory);
}

TEST_F(TaskLogTest, LimitAppliesToPrefixedLinesToo) {
  TaskLog log(stamps_, 1000);
  const std::string line = "[!MFLOG|0|2024-01-01T00:00:00.000000Z|task|abc]" + std::string(600, 'x') + "\n";
  for (int i = 0; i < 2; ++i) log.add(Stream::out, line, show_);
  EXPECT_EQ(shown_, 2U);
  EXPECT_THAT(text(log), HasSubstr("[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]"));
}

}  // namespace
}  // namespace metaflow::runtime
