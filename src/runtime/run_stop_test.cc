#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/format.h"
#include "runtime/run.h"
#include "runtime/run_testing.h"

namespace metaflow::runtime {
namespace {

using detail::Transition;
using graph::TestGraph;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// Calls `what` once, at the first turn of the loop at which `when` is true.
std::function<void(int)> once(std::function<bool()> when, std::function<void()> what) {
  return [when = std::move(when), what = std::move(what), done = false](int) mutable {
    if (done || !when()) return;
    done = true;
    what();
  };
}

/// The steps start, three tasks of work (with retries), join, end.
const TestGraph& retried() {
  static const TestGraph graph{
      {"start", Transition::foreach, {1}},
      {"work", Transition::linear, {2}, false, {make_decorator(retry{.times = 1, .minutes_between_retries = 0.5})}},
      {"join", Transition::linear, {3}, true},
      {"end"}};
  return graph;
}

/// Of the tasks of `work`, the second fails at first, and one takes long.
AttemptPlan eventful(const compute::Attempt& attempt) {
  AttemptPlan plan = succeeds();
  if (attempt.step.step != "work") return plan;
  if (attempt.step.split_index == 1U && attempt.step.retry_count == 0) plan = throws("boom");
  plan.takes += static_cast<std::int64_t>(*attempt.step.split_index) * 1'500'000;
  plan.stops_after = 700'000;
  plan.output = "a line\n";
  return plan;
}

TEST(RunStop, FailureStopsRunningTasks) {
  RunWorld world(*fan_out_graph());
  world.items["start"] = 6;
  world.options.max_workers = 3;
  world.backend.plan = [](const compute::Attempt& attempt) {
    if (attempt.step.task == "2") return throws("boom");
    AttemptPlan plan = succeeds();
    if (attempt.step.task != "1") plan.takes = 100 * kTestSecond;
    return plan;
  };
  const RunResult result = world.execute();
  EXPECT_EQ(result.what, "Step work (task-id 2) failed.");
  EXPECT_THAT(world.backend.asked, ElementsAre("submit start/1/0", "submit work/2/0", "submit work/3/0",
                                               "submit work/4/0", "ask 3", "ask 4", "end"));
  EXPECT_THAT(world.reporter.lines,
              AllOf(Contains("Terminating 2 active tasks..."), Contains("[17/work/3] [KILLED BY ORCHESTRATOR]"),
                    Contains("2 running tasks were stopped because of the failure."), Contains("Flushing logs...")));
  EXPECT_EQ(world.reporter.count("Task failed."), 1U) << "a stopped task is not reported as failed";
  EXPECT_EQ(world.log("work/3/0"), "[KILLED BY ORCHESTRATOR]\n");
  EXPECT_EQ(world.history().attempts[2].how, store::AttemptEnd::stopped);
  EXPECT_EQ(world.history().why, result.what);
}

TEST(RunStop, StoppedTaskThatSucceedsIsCommitted) {
  RunWorld world(*fan_out_graph());
  world.backend.plan = [](const compute::Attempt& attempt) {
    if (attempt.step.task == "2") return throws("boom");
    AttemptPlan plan = succeeds();
    plan.ignores_asking = attempt.step.task == "3";
    if (attempt.step.step == "work") plan.takes = 3 * kTestSecond;
    return plan;
  };
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  EXPECT_THAT(world.committed("work"), ElementsAre("3"));
  EXPECT_THAT(world.reporter.lines, Contains("1 running task was stopped because of the failure."));
}

TEST(RunStop, FailureWhileOtherTasksAreBeingCommitted) {
  RunWorld world(*fan_out_graph());
  world.on_background = [](store::ScriptedBackground& background) {
    background.takes = [] { return 7 * kTestSecond; };
  };
  world.backend.plan = [](const compute::Attempt& attempt) {
    if (attempt.step.task == "4") return throws("boom");
    AttemptPlan plan = succeeds();
    if (attempt.step.task == "3") plan.takes = 30 * kTestSecond;
    if (attempt.step.task == "2") plan.takes = 2 * kTestSecond;
    return plan;
  };
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  EXPECT_THAT(world.committed("work"), ElementsAre("2"));
}

TEST(RunStop, OnlyTheFirstFailureIsReported) {
  RunWorld world(*fan_out_graph());
  world.backend.plan = [](const compute::Attempt& attempt) {
    return attempt.step.step == "work" ? throws("boom") : succeeds();
  };
  EXPECT_EQ(world.execute().what, "Step work (task-id 2) failed.");
  EXPECT_EQ(world.reporter.count("Workflow failed."), 1U);
}

TEST(RunStop, NoRetryDelayAfterTheRunHasFailed) {
  RunWorld world(*retried());
  world.backend.plan = [](const compute::Attempt& attempt) {
    AttemptPlan plan = attempt.step.step == "work" ? throws("boom") : succeeds();
    if (attempt.step.task == "3") plan.verdict.hopeless = true;
    return plan;
  };
  EXPECT_EQ(world.execute().what, "Step work (task-id 3) failed.");
  EXPECT_EQ(world.elapsed(), 2 * kTestSecond);
}

TEST(RunStop, TasksThatDoNotStopAreKilledAfterFiveSeconds) {
  RunWorld world(*linear_graph());
  world.backend.plan = [](const compute::Attempt&) {
    AttemptPlan plan = succeeds();
    plan.takes = 100 * kTestSecond;
    plan.ignores_asking = true;
    return plan;
  };
  world.on_turn = once([&] { return world.elapsed() >= kTestSecond; }, [&] { world.run->interrupt("Stop."); });
  const RunResult result = world.execute();
  EXPECT_EQ(result.error, ErrorCode::interrupted);
  EXPECT_EQ(result.what, "Stop.");
  EXPECT_EQ(world.elapsed(), 6 * kTestSecond);
  EXPECT_THAT(world.backend.asked, ElementsAre("submit start/1/0", "ask 1", "force 1", "end"));
  EXPECT_EQ(world.reporter.count("Killing 1 remaining tasks after having waited for 5 seconds -- some tasks may not "
                                 "exit cleanly"),
            1U);
  EXPECT_EQ(world.history().how, store::RunEnd::interrupted);
}

TEST(RunStop, SecondInterruptKillsTasksAtOnce) {
  RunWorld world(*linear_graph());
  world.backend.plan = [](const compute::Attempt&) {
    AttemptPlan plan = succeeds();
    plan.takes = 100 * kTestSecond;
    plan.ignores_asking = true;
    return plan;
  };
  world.on_turn = [&](int turn) {
    if (turn == 2 || turn == 4) world.run->interrupt("Stop.");
  };
  EXPECT_EQ(world.execute().error, ErrorCode::interrupted);
  EXPECT_THAT(world.backend.asked, ElementsAre("submit start/1/0", "ask 1", "force 1", "end at once"));
  EXPECT_LT(world.elapsed(), 5 * kTestSecond);
}

TEST(RunStop, InterruptBeforeTheFirstTask) {
  RunWorld world(*linear_graph());
  world.on_background = [&](store::ScriptedBackground&) {
    world.metadata.is_ready = [](const std::string&) { return false; };
  };
  world.on_turn = [&](int turn) {
    if (turn == 1) world.run->interrupt("Stop.");
  };
  EXPECT_EQ(world.execute().error, ErrorCode::interrupted);
  EXPECT_THAT(world.backend.asked, ElementsAre("end"));
}

/// Interrupts a run at each turn of its loop, one after the other; if `again` is greater than 0, also `again` turns
/// later. `resume` must execute exactly the tasks that were not committed.
void interrupt_everywhere(int again, const std::function<void(RunWorld&)>& prepare) {
  for (int turn = 1;; ++turn) {
    RunWorld world(*retried());
    prepare(world);
    bool was_interrupted = false;
    world.on_turn = [&](int now) {
      if (now != turn && (again == 0 || now != turn + again)) return;
      was_interrupted = true;
      world.run->interrupt("Stop.");
    };
    const RunResult result = world.execute();
    if (!was_interrupted) {
      EXPECT_FALSE(result.error) << result.what;
      EXPECT_GT(turn, 30);
      return;
    }
    EXPECT_EQ(result.error, ErrorCode::interrupted) << result.what;
    std::size_t done = 0;
    for (const char* step : {"start", "work", "join", "end"}) done += world.committed(step).size();
    world.on_turn = nullptr;
    world.backend.plan = nullptr;
    world.expect_done("18", "17");
    EXPECT_EQ(world.history("18").clones.size(), done);
    EXPECT_EQ(world.backend.submitted.size(), 6 - done);
    ASSERT_FALSE(testing::Test::HasFailure()) << "interrupted at turn " << turn;
  }
}

TEST(RunStop, InterruptAtAnyTurn) {
  interrupt_everywhere(0, [](RunWorld& world) { world.backend.plan = eventful; });
}

TEST(RunStop, InterruptAtAnyTurnOverASlowStore) {
  interrupt_everywhere(0, [](RunWorld& world) {
    world.backend.plan = eventful;
    world.on_background = [](store::ScriptedBackground& background) {
      background.takes = [n = 0]() mutable { return ++n % 3 * 400'000; };
    };
  });
}

TEST(RunStop, SecondInterruptAtAnyTurn) {
  for (const int again : {1, 2, 5}) {
    interrupt_everywhere(again, [](RunWorld& world) {
      world.backend.plan = eventful;
      world.on_background = [](store::ScriptedBackground& background) {
        background.takes = [n = 0]() mutable { return ++n % 3 * 400'000; };
      };
    });
  }
}

TEST(RunStop, InterruptDuringTheRetryDelay) {
  RunWorld world(*retried());
  world.backend.plan = eventful;
  world.on_turn = once([&] { return world.elapsed() > 15 * kTestSecond; }, [&] { world.run->interrupt("Stop."); });
  EXPECT_EQ(world.execute().error, ErrorCode::interrupted);
  EXPECT_LT(world.elapsed(), 18 * kTestSecond);
  EXPECT_THAT(world.committed("work"), SizeIs(2));
  EXPECT_THAT(world.reporter.lines, Contains("Terminating 0 active tasks..."));
}

/// Expects that a run none of whose parts answers any more ends within a second of the second interrupt.
void expect_over_within_a_second(RunWorld& world, std::int64_t from) {
  std::int64_t asked = 0;
  world.on_turn = [&](int) {
    if (asked != 0 || world.elapsed() < from) return;
    world.run->interrupt("Stop.");
    world.run->interrupt("Stop.");
    asked = world.elapsed();
  };
  EXPECT_EQ(world.execute().error, ErrorCode::interrupted);
  EXPECT_GT(asked, 0);
  EXPECT_LE(world.elapsed() - asked, kTestSecond);
  EXPECT_EQ(world.backend.asked.back(), "end at once");
}

TEST(RunStop, SecondInterruptEndsAllWaits) {
  RunWorld world(*fan_out_graph());
  world.backend.plan = [](const compute::Attempt& attempt) {
    AttemptPlan plan = succeeds();
    if (attempt.step.task == "3") plan.takes = 100 * kTestSecond;
    plan.ignores_asking = plan.ignores_force = true;  // for example on another machine
    return plan;
  };
  world.on_background = [&](store::ScriptedBackground& background) {
    background.holds = [&](const std::string&) { return world.elapsed() >= 2 * kTestSecond; };
  };
  world.metadata.is_idle = [&] { return world.elapsed() < 2 * kTestSecond; };
  world.sync_disk = [](const std::function<void()>&) {};
  expect_over_within_a_second(world, 2 * kTestSecond);
  EXPECT_THAT(world.reporter.lines,
              AllOf(Contains("2 finished tasks could not be committed. `resume` will rerun them."),
                    Contains("Stopped waiting for 1 running task. `resume` will check its state.")));
}

TEST(RunStop, LoopDoesNotWaitForAHangingDisk) {
  RunWorld world(*fan_out_graph());
  world.options.max_workers = 1;
  world.backend.plan = [](const compute::Attempt&) {
    AttemptPlan plan = succeeds();
    plan.takes = 40 * kTestSecond;
    return plan;
  };
  int syncs = 0;
  std::function<void()> hanging;
  world.sync_disk = [&](std::function<void()> done) {
    if (++syncs == 1) {
      hanging = std::move(done);
    } else {
      EXPECT_EQ(world.committed("end").size(), 1U) << "a second sync was started while one hangs";
      done();
    }
  };
  world.expect_done();
  EXPECT_EQ(syncs, 2);
  EXPECT_EQ(world.elapsed(), 240 * kTestSecond);
  hanging();  // the run no longer exists
}

TEST(RunStop, HangingDiskAtTheEndIsWaitedForUntilInterrupted) {
  RunWorld world(*linear_graph());
  bool at_end = false;
  world.sync_disk = [&](const std::function<void()>&) { at_end = true; };
  int turns = 0;
  world.on_turn = [&](int) {
    if (at_end && ++turns == 20) world.run->interrupt("Stop.");
  };
  world.expect_done();
  EXPECT_EQ(turns, 20);
}

class RunStopLost : public testing::Test {
 protected:
  /// Makes the store stop answering for paths with this end.
  void lose(RunWorld& world, const std::string& end) {
    world.on_background = [end](store::ScriptedBackground& background) {
      background.holds = [end](const std::string& path) { return path.ends_with(end); };
    };
  }
};

TEST_F(RunStopLost, SecondInterruptDoesNotWaitForTheStore) {
  RunWorld world(*linear_graph());
  lose(world, "DONE.lock");
  world.on_turn = [&](int) {
    if (world.elapsed() > 9 * kTestSecond) world.run->interrupt("Stop.");
  };
  EXPECT_EQ(world.execute().error, ErrorCode::interrupted);
  EXPECT_THAT(world.reporter.lines, Contains("1 finished task could not be committed. `resume` will rerun it."));
}

TEST_F(RunStopLost, SecondInterruptDoesNotWaitForSeveralCommits) {
  RunWorld world(*fan_out_graph());
  world.on_turn = [&](int) {
    if (world.elapsed() >= kTestSecond) world.background->holds = [](const std::string&) { return true; };
    if (world.elapsed() > 9 * kTestSecond) world.run->interrupt("Stop.");
  };
  EXPECT_EQ(world.execute().error, ErrorCode::interrupted);
  EXPECT_THAT(world.reporter.lines, Contains("3 finished tasks could not be committed. `resume` will rerun them."));
}

TEST_F(RunStopLost, SecondInterruptEndsTheRunWhenTheStoreIsLostWhileTasksRun) {
  RunWorld world(*fan_out_graph());
  world.backend.plan = [](const compute::Attempt& attempt) {
    AttemptPlan plan = succeeds();
    if (attempt.step.step == "work") plan.takes = 1000 * kTestSecond;
    plan.stops_after = 3 * kTestSecond;
    return plan;
  };
  world.on_turn = [&](int turn) {
    if (world.elapsed() >= kTestSecond) world.background->holds = [](const std::string&) { return true; };
    if (turn == 20 || turn == 21) world.run->interrupt("Stop.");
  };
  EXPECT_EQ(world.execute().error, ErrorCode::interrupted);
  EXPECT_LT(world.elapsed(), 40 * kTestSecond);
  EXPECT_THAT(world.reporter.lines, Contains("3 finished tasks could not be committed. `resume` will rerun them."));
}

TEST_F(RunStopLost, InterruptWhileInputsAreBeingStored) {
  for (const bool answers : {true, false}) {
    RunWorld world(*fan_out_graph());
    world.items["start"] = 101;
    world.options.max_num_splits = world.options.max_workers = 1000;
    lose(world, "inputs.txt");
    std::size_t interrupted = 0;
    world.on_turn = [&](int) {
      if (world.elapsed() < 60 * kTestSecond) return;
      if (interrupted++ == 0 || !answers) return world.run->interrupt("Stop.");
      if (interrupted == 10) world.background->release();
    };
    EXPECT_EQ(world.execute().error, ErrorCode::interrupted);
    EXPECT_THAT(world.committed("work"), SizeIs(101));
    EXPECT_THAT(world.reporter.lines, Not(Contains(HasSubstr("could not be committed"))))
        << "every finished task is committed";
    EXPECT_FALSE(world.backend.submitted.contains("join/103/0"));
    world.on_background = nullptr;
    world.on_turn = nullptr;
    world.expect_done("18", "17");
  }
}

}  // namespace
}  // namespace metaflow::runtime
