#include "compute/remote/notices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"

namespace metaflow::compute {
namespace {

using testing::ElementsAre;

class NoticesTest : public testing::Test, public BackendEvents {
 protected:
  void on_started(AttemptId, const std::string&) override {}
  void on_output(AttemptId, store::Stream, std::string_view) override {}
  void on_finished(AttemptId, const Verdict&) override {}
  void on_notice(std::span<const AttemptId> attempts, std::string_view text, bool /*usual*/) override {
    reported.push_back(std::to_string(attempts.size()) + " " + std::string(text));
  }

  std::vector<std::string> after(std::int64_t microseconds) {
    clock.now += microseconds;
    loop.poll();
    return std::exchange(reported, {});
  }

  base::FakeClock clock;
  base::EventLoop loop{clock};
  Notices notices{loop, clock, *this};
  std::vector<std::string> reported;
};

TEST_F(NoticesTest, EqualNoticesAreMerged) {
  for (AttemptId id : {1, 2, 3}) notices.set_waiting(id, "work", "no room");
  notices.set_waiting(4, "work", "no image");
  notices.set_waiting(5, "other", "no room");
  EXPECT_TRUE(reported.empty());
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 no room", "1 no image", "3 no room"));
}

TEST_F(NoticesTest, OnlyChangesAreReported) {
  notices.set_waiting(1, "work", "a");
  notices.set_waiting(1, "work", "a");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 a"));
  notices.set_waiting(1, "work", "a");
  EXPECT_THAT(after(Notices::kGather), ElementsAre());
  notices.set_waiting(1, "work", "b");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 b"));
}

TEST_F(NoticesTest, WaitingTimeIsReported) {
  notices.set_waiting(1, "work", "a");
  EXPECT_THAT(after(Notices::kRepeatEvery), ElementsAre("1 a", "1 a (waiting for 1 min 0 s)"));
  EXPECT_THAT(after(Notices::kRepeatEvery), ElementsAre("1 a (waiting for 2 min 0 s)"));
  notices.set_waiting(1, "work", "b");
  EXPECT_THAT(after(Notices::kRepeatEvery), ElementsAre("1 b", "1 b (waiting for 3 min 0 s)")) << "the time goes on";
  notices.clear(1);
  EXPECT_THAT(after(Notices::kRepeatEvery), ElementsAre());
}

TEST_F(NoticesTest, SuccessiveWaitsAreReportedOnceAMinute) {
  notices.set_waiting(1, "work", "no room");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 no room"));
  for (AttemptId id = 2; id < 20; ++id) {
    notices.clear(id - 1);
    notices.set_waiting(id, "work", "no room");
    EXPECT_THAT(after(1'000'000), ElementsAre());
  }
  notices.set_waiting(20, "other", "no room");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 no room"));
  notices.clear(19);
  notices.clear(20);
  after(Notices::kRepeatEvery);
  notices.set_waiting(21, "work", "no room");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 no room"));
}

TEST_F(NoticesTest, ClearedNoticesAreNotReported) {
  notices.report(1, "work", "runs");
  notices.clear(1);
  EXPECT_THAT(after(Notices::kGather), ElementsAre());
}

}  // namespace
}  // namespace metaflow::compute
