#include "runtime/reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/testing.h"
#include "base/text.h"

namespace metaflow::runtime {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Kind = ReportLine::Kind;

constexpr std::int64_t kMinute = 60'000'000;

class ReporterTest : public testing::Test {
 protected:
  std::unique_ptr<OutputQueue> queue() { return std::make_unique<OutputQueue>(loop_, clock_, pipe_.in.get()); }

  static void print(Reporter& reporter, Kind kind, const std::string& text) { reporter.print({kind, 0, {}, {}, text}); }

  /// The lines that a reader gets that starts to read now.
  std::vector<std::string> lines(std::unique_ptr<Reporter> reporter) {
    std::string text;
    std::thread reader([&] { text = base::read_bytes(pipe_.out.get(), 64 << 20); });
    EXPECT_TRUE(reporter->finish(kMinute, -1));
    reporter.reset();
    pipe_.in.reset();
    reader.join();
    if (text.ends_with('\n')) text.pop_back();
    return base::split(text, '\n');
  }

  base::SystemClock clock_;
  base::EventLoop loop_{clock_};
  base::ReadPipe pipe_;
};

/// Prints more lines than fit; returns how many.
std::size_t overflow(Reporter& reporter) {
  const std::size_t count = OutputQueue::kMost / 4000 + 1000;
  for (std::size_t i = 0; i < count; ++i) {
    std::string text = std::to_string(i) + ' ';
    text.resize(4000, 'x');
    reporter.print({Kind::output, 0, "17/start/1", {}, text});
    if (i % 10 == 0) reporter.flush();
  }
  return count;
}

TEST_F(ReporterTest, DroppedLinesAreReportedInTheirPlace) {
  auto reporter = text_reporter(queue(), clock_, {});
  const std::size_t count = overflow(*reporter);
  print(*reporter, Kind::failure, "Workflow failed.");
  const std::vector<std::string> seen = lines(std::move(reporter));
  const std::size_t shown = seen.size() - 2;
  EXPECT_GT(shown, 1000U);
  EXPECT_THAT(seen[shown - 1], HasSubstr(" " + std::to_string(shown - 1) + " xxx"));
  EXPECT_THAT(seen[shown], EndsWith(base::grouped(count - shown) +
                                    " lines were not shown: the output was not read. `logs` shows what tasks print."));
  EXPECT_THAT(seen.back(), EndsWith("Workflow failed."));
}

TEST_F(ReporterTest, DroppedLinesAreReportedAtTheEnd) {
  auto reporter = json_reporter(queue(), clock_);
  overflow(*reporter);
  const std::string last = lines(std::move(reporter)).back();
  EXPECT_THAT(last, StartsWith("{\"event\": \"events_dropped\", \"time\": "));
  EXPECT_THAT(last, HasSubstr("\"events\": "));
}

TEST_F(ReporterTest, FirstEventHasTheVersion) {
  auto reporter = json_reporter(queue(), clock_);
  print(*reporter, Kind::failure, "a \"trouble\"");
  reporter->name_run("F", "17");
  reporter->print({Kind::task, 0, "17/start/1", {}, "Task is starting.", false, {}, true});
  reporter->emit(Event("task_started", 0).add("task", "1").add("attempt", 0).add("fallback", false));
  const auto seen = lines(std::move(reporter));
  ASSERT_EQ(seen.size(), 2U) << "a line is not shown if an event tells the same";
  EXPECT_EQ(seen[0], R"({"event": "message", "version": 1, "time": "1970-01-01T00:00:00.000000Z", "level": "error", )"
                     R"("text": "a \"trouble\""})");
  EXPECT_EQ(seen[1], R"({"event": "task_started", "time": "1970-01-01T00:00:00.000000Z", "flow": "F", "run": "17", )"
                     R"("task": "1", "attempt": 0, "fallback": false})");
}

TEST_F(ReporterTest, LiveViewIsNotDrawnForASlowReader) {
  auto reporter = text_reporter(queue(), clock_, {true, true});
  const auto draw = [&](const std::string& line) {
    reporter->show_status({line});
    reporter->flush();
  };
  draw("first");
  print(*reporter, Kind::output, std::string(1 << 20, 'x'));
  reporter->flush();
  draw("second");
  const std::string seen = base::join(lines(std::move(reporter)), "\n");
  EXPECT_THAT(seen, HasSubstr("first"));
  EXPECT_THAT(seen, Not(HasSubstr("second")));
}

class ReporterOfHostileText : public ReporterTest, public testing::WithParamInterface<bool> {};

TEST_P(ReporterOfHostileText, ControlCharactersAreMadeVisible) {
  const std::string evil = "\x1b]52;c;x\x07\x1b[31m";
  auto reporter = text_reporter(queue(), clock_, {GetParam(), GetParam()});
  reporter->print({Kind::task, 0, "17/start/1", "pod " + evil, "cause " + evil + "\nDone!"});
  reporter->print({Kind::output, 0, "17/start/1", {}, "  1 %\r" + evil});
  const auto seen = lines(std::move(reporter));
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_THAT(seen[0], HasSubstr(R"((pod \x1b]52;c;x\x07\x1b[31m)] )"));
  EXPECT_THAT(seen[0], HasSubstr(R"(cause \x1b]52;c;x\x07\x1b[31m)"));
  EXPECT_THAT(seen[1], StartsWith("    Done!")) << "no line of the scheduler begins like this";
  EXPECT_THAT(seen[2], HasSubstr("\\x1b]52;c;x\\x07\x1b[31m")) << "a task keeps its colours";
  EXPECT_THAT(seen[2], Not(HasSubstr("1 %")));
}

TEST_P(ReporterOfHostileText, LabelIsShownOnATerminalOnly) {
  auto reporter = text_reporter(queue(), clock_, {GetParam(), false});
  reporter->print({Kind::task, 0, "17/work/2", "pid 5", "x", false, "a\x1b"});
  EXPECT_THAT(lines(std::move(reporter))[0],
              HasSubstr(GetParam() ? " [17/work/2 (pid 5) a\\x1b] x" : " [17/work/2 (pid 5)] x"));
}

INSTANTIATE_TEST_SUITE_P(Terminal, ReporterOfHostileText, testing::Bool());

TEST_F(ReporterTest, ClosedReaderIsIgnored) {
  auto reporter = text_reporter(queue(), clock_, {});
  pipe_.out.reset();
  overflow(*reporter);
  EXPECT_TRUE(reporter->finish(kMinute, -1));
}

}  // namespace
}  // namespace metaflow::runtime
