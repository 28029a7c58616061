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
    told.push_back(std::to_string(attempts.size()) + " " + std::string(text));
  }

  std::vector<std::string> after(std::int64_t microseconds) {
    clock.now += microseconds;
    loop.poll();
    return std::exchange(told, {});
  }

  base::FakeClock clock;
  base::EventLoop loop{clock};
  Notices notices{loop, clock, *this};
  std::vector<std::string> told;
};

TEST_F(NoticesTest, TheSameOfManyIsOne) {
  for (AttemptId id : {1, 2, 3}) notices.waits(id, "work", "no room");
  notices.waits(4, "work", "no image");
  notices.waits(5, "other", "no room");
  EXPECT_TRUE(told.empty());
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 no room", "1 no image", "3 no room"));
}

TEST_F(NoticesTest, WhatChangesIsToldAndWhatDoesNotIsNot) {
  notices.waits(1, "work", "a");
  notices.waits(1, "work", "a");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 a"));
  notices.waits(1, "work", "a");
  EXPECT_THAT(after(Notices::kGather), ElementsAre());
  notices.waits(1, "work", "b");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 b"));
}

TEST_F(NoticesTest, AClockRunsWhileItWaits) {
  notices.waits(1, "work", "a");
  EXPECT_THAT(after(Notices::kRepeatEvery), ElementsAre("1 a", "1 a (waiting for 1 min 0 s)"));
  EXPECT_THAT(after(Notices::kRepeatEvery), ElementsAre("1 a (waiting for 2 min 0 s)"));
  notices.waits(1, "work", "b");
  EXPECT_THAT(after(Notices::kRepeatEvery), ElementsAre("1 b", "1 b (waiting for 3 min 0 s)")) << "it has waited on";
  notices.clear(1);
  EXPECT_THAT(after(Notices::kRepeatEvery), ElementsAre());
}

TEST_F(NoticesTest, WhatOneAfterTheOtherWaitsForIsToldOnceAMinute) {
  notices.waits(1, "work", "no room");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 no room"));
  for (AttemptId id = 2; id < 20; ++id) {
    notices.clear(id - 1);
    notices.waits(id, "work", "no room");
    EXPECT_THAT(after(1'000'000), ElementsAre());
  }
  notices.waits(20, "other", "no room");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 no room"));
  notices.clear(19);
  notices.clear(20);
  after(Notices::kRepeatEvery);
  notices.waits(21, "work", "no room");
  EXPECT_THAT(after(Notices::kGather), ElementsAre("1 no room"));
}

TEST_F(NoticesTest, WhatIsOverIsNotTold) {
  notices.tell(1, "work", "runs");
  notices.clear(1);
  EXPECT_THAT(after(Notices::kGather), ElementsAre());
}

}  // namespace
}  // namespace metaflow::compute
