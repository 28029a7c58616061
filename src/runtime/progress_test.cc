#include "runtime/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/testing.h"

namespace metaflow::runtime {
namespace {

using detail::Transition;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kSecond = 1'000'000;

class Progress : public testing::Test {
 protected:
  Progress() : at(4) {}
  std::vector<std::string> view(std::int64_t now = 0, std::size_t most = 8, std::size_t columns = 99) {
    return live_view(*graph_, at, now, most, columns);
  }

  const graph::TestGraph graph_{{"start", Transition::foreach, {1}},
                                {"work", Transition::linear, {2}},
                                {"join", Transition::linear, {3}, true},
                                {"end"}};
  std::vector<StepProgress> at;
};

TEST_F(Progress, NothingToShow) {
  EXPECT_THAT(view(), IsEmpty());
  at[0].expected = at[0].running = 1;
  EXPECT_THAT(view(), IsEmpty()) << "a step of one task needs no bar";
  at[1].expected = 10;
  EXPECT_THAT(view(), IsEmpty()) << "it has not begun";
  at[1].done = 10;
  EXPECT_THAT(view(), IsEmpty()) << "it has finished";
}

TEST_F(Progress, ABar) {
  at[1].expected = 1000;
  at[1].done = 412;
  at[1].failed = 2;
  at[1].running = 16;
  EXPECT_THAT(view(), ElementsAre("work [########------------] 412 of 1,000, 16 running, 2 failed"));
}

TEST_F(Progress, RateIsShownAfterASecond) {
  at[1] = {.running = 4, .done = 100, .expected = 400, .began = 10 * kSecond};
  EXPECT_THAT(view(10 * kSecond + kSecond / 2), ElementsAre("work [#####---------------] 100 of 400, 4 running"));
  EXPECT_THAT(view(12 * kSecond), ElementsAre("work [#####---------------] 100 of 400, 4 running, 50/s, 0:00:06 left"));
  EXPECT_THAT(view(60 * kSecond),
              ElementsAre("work [#####---------------] 100 of 400, 4 running, 2.0/s, 0:02:30 left"));
  EXPECT_THAT(view(1010 * kSecond),
              ElementsAre("work [#####---------------] 100 of 400, 4 running, 6.0/min, 0:50:00 left"));
}

TEST_F(Progress, ClonedTasksDoNotCountInTheRate) {
  at[1] = {.running = 1, .done = 300, .cloned = 300, .expected = 400, .began = kSecond};
  EXPECT_THAT(view(5 * kSecond), ElementsAre("work [###############-----] 300 of 400, 1 running"));
  at[1].done = 310;
  EXPECT_THAT(view(11 * kSecond),
              ElementsAre("work [###############-----] 310 of 400, 1 running, 1.0/s, 0:01:30 left"));
}

TEST_F(Progress, NumberOfLinesIsLimited) {
  for (StepProgress& step : at) step = {.running = 1, .done = 1, .expected = 4};
  EXPECT_EQ(view(0, 3).size(), 3U);
  EXPECT_THAT(view(0, 2), ElementsAre("start [#####---------------] 1 of 4, 1 running", "and 3 more steps"));
  EXPECT_EQ(view(0, 8)[1], "work  [#####---------------] 1 of 4, 1 running") << "names are aligned";
}

TEST_F(Progress, NarrowTerminal) {
  at[1] = {.running = 16, .done = 412, .failed = 2, .expected = 1000};
  EXPECT_THAT(view(0, 8, 62), ElementsAre("work [########------------] 412 of 1,000, 16 running, 2 failed"));
  EXPECT_THAT(view(0, 8, 41), ElementsAre("work 412 of 1,000, 16 running, 2 failed"));
  EXPECT_THAT(view(0, 8, 29), ElementsAre("work 412 of 1,000, 2 failed"));
}

TEST(Summary, OnlyWhatHappened) {
  EXPECT_EQ(summary_of({.finished = 3}, 1'200'000), "Tasks: 3 finished. Wall time 1.2 s, CPU time 0 ms.");
  EXPECT_EQ(summary_of({1234, 2, 3, 1, 4, 5, 75, 51'000'000}, 72'000'000),
            "Tasks: 1,234 finished, 2 cloned, 3 retried, 1 caught, 4 failed, 5 stopped. Wall time 1 min 12 s, CPU time "
            "1 min 15 s, peak memory of a task 51.0 MB.");
}

TEST_F(Progress, ReportInMetaflowsWords) {
  at[0] = {.done = 1, .expected = 1, .started = true};
  at[1] = {.running = 2, .done = 1, .expected = 10, .started = true};
  EXPECT_THAT(progress_report(*graph_, at),
              ElementsAre("2 tasks are running: work (2 running; 1 done).", "7 tasks are waiting in the queue.",
                          "2 steps have not started: join, end."));
}

}  // namespace
}  // namespace metaflow::runtime
