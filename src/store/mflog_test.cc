#include "store/mflog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace metaflow::store {
namespace {

using testing::ElementsAre;

std::vector<std::string> texts(const std::vector<LogLine>& lines) {
  std::vector<std::string> result;
  for (const LogLine& line : lines) result.emplace_back(line.text);
  return result;
}

TEST(Mflog, FormatIsMetaflows) {
  EXPECT_EQ(format_log_line(1'700'000'000'123'456, "task", "hello"),
            "[MFLOG|0|2023-11-14T22:13:20.123456Z|task|1700000000123456]hello\n");
}

TEST(Mflog, FormattedLineIsParsed) {
  const std::string text = format_log_line(1'700'000'000'000'007, "runtime", "a ] b | c");
  const LogLine line = parse_log_line(std::string_view(text).substr(0, text.size() - 1));
  EXPECT_EQ(line.time, "2023-11-14T22:13:20.000007");
  EXPECT_EQ(line.source, "runtime");
  EXPECT_EQ(line.text, "a ] b | c");
  EXPECT_FALSE(line.to_be_kept);
  EXPECT_EQ(microseconds_of_log_time(line.time), 1'700'000'000'000'007);
}

TEST(Mflog, LinesOfMetaflow) {
  const LogLine line = parse_log_line("[!MFLOG|0|2026-11-22T12:26:36.522Z|task|8e8f3b44-1b0e-4b1c]was kept");
  EXPECT_TRUE(line.to_be_kept);
  EXPECT_EQ(line.text, "was kept");
  EXPECT_EQ(line.id, "8e8f3b44-1b0e-4b1c");
}

TEST(Mflog, TimesWithFewerDigits) {
  EXPECT_EQ(microseconds_of_log_time(parse_log_line("[MFLOG|0|1970-01-01T00:00:01.5Z|task|x]").time), 1'500'000);
}

TEST(Mflog, OtherLinesAreText) {
  for (const char* text :
       {"", "plain", "[MFLOG|0|", "[MFLOG|0|x]y", "[MFLOG|1|2026-11-22T12:26:36.522123Z|a|b]c",
        "[MFLOG|0|2026-11-22 12:26:36.522123Z|a|b]c", "[MFLOG|0|2026-11-22T12:26:36.522123Z|a]c",
        "[MFLOG|0|999999-1-1T00:00:00.123456Z|a|b]c", "[MFLOG|0|yyyy-mm-ddThh:mm:ss.ffffffZ|a|b]c"}) {
    const LogLine line = parse_log_line(text);
    EXPECT_EQ(line.text, text);
    EXPECT_TRUE(line.time.empty());
    EXPECT_EQ(microseconds_of_log_time(line.text), 0);
  }
}

TEST(Mflog, LogsAreMergedByTime) {
  const std::string runtime = format_log_line(10, "runtime", "first") + format_log_line(30, "runtime", "third");
  const std::string task = format_log_line(20, "task", "second") + "no stamp\n" + format_log_line(30, "task", "fourth");
  EXPECT_THAT(texts(merge_logs({runtime, task})), ElementsAre("first", "second", "third", "fourth", "no stamp"));
}

TEST(Mflog, LastLineWithoutNewline) { EXPECT_THAT(texts(merge_logs({"a\n\nb"})), ElementsAre("a", "", "b")); }

}  // namespace
}  // namespace metaflow::store
