// A scheduler that has lost its run, or does not know whether it still holds it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/run.h"
#include "runtime/run_testing.h"

namespace metaflow::runtime {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const Error kTakenOver(ErrorCode::interrupted, "Run F/17 was taken over by ada@host (pid 1): this scheduler stops.",
                       "What becomes of it: ./f status 23");

TEST(RunLease, SchedulerThatLostTheRunStopsAndCommitsNothing) {
  RunWorld world(*fan_out_graph());
  world.options.max_workers = 3;
  bool lost = false;
  world.backend.plan = [](const compute::Attempt& attempt) {
    AttemptPlan plan = succeeds();
    plan.takes = attempt.step.step == "start" ? kTestSecond : 20 * kTestSecond;
    return plan;
  };
  world.on_turn = [&](int) {
    if (lost || world.elapsed() < kTestSecond || world.backend.running() < 3) return;
    lost = true;
    world.holds = false;
    world.run->lose(kTakenOver);
  };
  const RunResult result = world.execute();
  EXPECT_EQ(result.error, ErrorCode::interrupted);
  EXPECT_THAT(result.what, HasSubstr("taken over by ada@host"));
  EXPECT_THAT(world.committed("work"), IsEmpty());
  EXPECT_THAT(world.backend.asked, ElementsAre("submit start/1/0", "submit work/2/0", "submit work/3/0",
                                               "submit work/4/0", "leave", "ask 2", "ask 3", "ask 4", "end"));
  for (const char* task : {"work/2/0", "work/3/0", "work/4/0"})
    EXPECT_THAT(world.backend.ended, Contains(task)) << "it had time to end";
  EXPECT_THAT(world.reporter.lines, Not(Contains(HasSubstr("Stopped waiting"))));
  EXPECT_THAT(world.reporter.lines, Contains(kTakenOver.message()));
  EXPECT_THAT(world.reporter.lines, Contains(kTakenOver.hint()));
  EXPECT_THAT(world.history().why, HasSubstr("taken over"));
  world.holds = true;
  world.backend.plan = nullptr;
  world.on_turn = nullptr;
  world.expect_done("23", "17");
}

TEST(RunLease, SchedulerThatLostTheRunDoesNotWaitForTasksThatCannotEnd) {
  RunWorld world(*fan_out_graph());
  world.options.max_workers = 3;
  bool lost = false;
  world.backend.plan = [](const compute::Attempt& attempt) {
    AttemptPlan plan = succeeds();
    if (attempt.step.step == "work") plan.takes = 100 * kTestSecond;
    plan.ignores_asking = plan.ignores_force = true;
    return plan;
  };
  world.on_turn = [&](int) {
    if (lost || world.backend.running() < 3) return;
    lost = true;
    world.holds = false;
    world.run->lose(kTakenOver);
  };
  EXPECT_EQ(world.execute().error, ErrorCode::interrupted);
  EXPECT_LT(world.elapsed(), 10 * kTestSecond);
  EXPECT_THAT(world.backend.asked, Contains("force 2"));
  EXPECT_THAT(world.reporter.lines, Contains(HasSubstr("Stopped waiting for 3 running tasks.")));
}

/// Loses the run at each turn of its loop. A done mark that is on its way at that time may still arrive: leases have a
/// margin for it.
TEST(RunLease, LostAtAnyTurn) {
  for (int turn = 1;; ++turn) {
    RunWorld world(*fan_out_graph());
    std::vector<std::string> before;
    world.on_background = [](store::ScriptedBackground& background) {
      background.takes = [] { return kTestSecond / 3; };
    };
    world.on_turn = [&](int now) {
      if (now != turn) return;
      before = world.metadata.lines;
      world.holds = false;
      world.run->lose(kTakenOver);
    };
    const RunResult result = world.execute();
    if (!result.error) {
      EXPECT_GT(turn, 20);
      return;
    }
    EXPECT_EQ(result.error, ErrorCode::interrupted);
    for (std::size_t i = before.size(); i < world.metadata.lines.size(); ++i)
      EXPECT_THAT(world.metadata.lines[i], Not(HasSubstr("attempt-done"))) << "turn " << turn;
    world.holds = true;
    world.on_turn = nullptr;
    world.expect_done("23", "17");
  }
}

TEST(RunLease, NothingIsCommittedWhileInDoubt) {
  constexpr int kSure = 60;
  RunWorld world(*fan_out_graph());
  std::size_t committed = 0;
  world.on_turn = [&](int turn) {
    if (turn == 1) world.holds = false;
    committed += turn < kSure ? world.committed("start").size() : 0;
    if (turn != kSure) return;
    world.holds = true;
    world.run->resume_commits();
  };
  world.expect_done();
  EXPECT_GT(world.turns(), kSure);
  EXPECT_EQ(committed, 0U);
}

TEST(RunLease, CloningWaitsWhileInDoubt) {
  RunWorld world(*linear_graph());
  world.backend.plan = [](const compute::Attempt& attempt) {
    return attempt.step.step == "end" ? throws("boom") : succeeds();
  };
  EXPECT_TRUE(world.execute().error);
  world.backend.plan = nullptr;
  world.holds = false;
  world.on_turn = [&](int turn) {
    if (turn == 1) {
      EXPECT_THAT(world.committed("start", "23"), IsEmpty());
    }
    world.holds = turn >= 5;
  };
  world.expect_done("23", "17");
  EXPECT_EQ(world.committed("start", "23").size(), 1U);
}

/// What `resume` uses to find the run to continue.
TEST(RunLease, PublicationOfTheRunWaitsWhileInDoubt) {
  for (const bool is_lost : {false, true}) {
    RunWorld world(*linear_graph());
    world.backend.plan = [](const compute::Attempt& attempt) {
      return attempt.step.step == "end" ? throws("boom") : succeeds();
    };
    EXPECT_TRUE(world.execute().error);
    world.backend.plan = nullptr;
    int asked_at = 0;
    world.on_cloned = [&] {
      EXPECT_TRUE(world.run->await_hold());
      world.holds = false;
      asked_at = world.turns();
      EXPECT_EQ(world.run->await_hold(), !is_lost);
      EXPECT_GE(world.turns(), asked_at + 3);
    };
    world.on_turn = [&](int turn) {
      if (asked_at == 0 || turn < asked_at + 3) return;
      if (is_lost) world.run->lose(kTakenOver);
      world.holds = !is_lost;
    };
    EXPECT_EQ(world.execute("23", "17").error.has_value(), is_lost);
  }
}

}  // namespace
}  // namespace metaflow::runtime
