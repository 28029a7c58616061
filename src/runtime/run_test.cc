#include "runtime/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/format.h"
#include "base/seeds.h"
#include "runtime/run_testing.h"

namespace metaflow::runtime {
namespace {

using detail::Transition;
using graph::TestGraph;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST(Run, Linear) {
  RunWorld world(*linear_graph());
  world.backend.plan = [](const compute::Attempt& attempt) {
    AttemptPlan plan = succeeds();
    plan.output = "hello from " + attempt.step.step + "\nno newline";
    return plan;
  };
  world.expect_done();
  EXPECT_THAT(world.backend.asked, ElementsAre("submit start/1/0", "submit work/2/0", "submit end/3/0", "end"));
  EXPECT_THAT(world.reporter.lines, ElementsAre("[17/start/1] Task is starting.", "[17/start/1] hello from start",
                                                "[17/start/1] no newline", "[17/start/1] Task finished successfully.",
                                                "[17/work/2] Task is starting.", "[17/work/2] hello from work",
                                                "[17/work/2] no newline", "[17/work/2] Task finished successfully.",
                                                "[17/end/3] Task is starting.", "[17/end/3] hello from end",
                                                "[17/end/3] no newline", "[17/end/3] Task finished successfully.",
                                                "Tasks: 3 finished. Wall time 3.0 s, CPU time 0 ms.", "Done!"));
  EXPECT_EQ(world.log("work/2/0"), "hello from work\nno newline\n");
  EXPECT_EQ(world.elapsed(), 3 * kTestSecond);
  EXPECT_THAT(world.backend.attempt("work/2/0").step.inputs, ElementsAre(store::TaskRef{"17", "start", "1"}));
  EXPECT_THAT(
      world.metadata.lines,
      AllOf(Contains("17/work"), Contains("17/work/2 attempt 0 begins"), Contains("17/work/2 attempt 0 artifacts"),
            Contains("17/work/2 attempt 0 succeeded"), Contains("17/work/2 attempt 0 attempt-done=0")));
  const store::RunHistory history = world.history();
  ASSERT_THAT(history.attempts, SizeIs(3));
  EXPECT_EQ(history.attempts[1].where, "pid 2");
  EXPECT_EQ(history.attempts[1].inputs, "17/start/1");
  EXPECT_EQ(history.attempts[1].ended - history.attempts[1].began, kTestSecond);
}

TEST(Run, BranchesRunInParallelAndAreJoined) {
  RunWorld world(*branches_graph());
  world.expect_done();
  EXPECT_EQ(world.elapsed(), 4 * kTestSecond);
  EXPECT_THAT(world.backend.attempt("join/4/0").step.inputs,
              ElementsAre(store::TaskRef{"17", "a", "2"}, store::TaskRef{"17", "b", "3"}));
  EXPECT_EQ(world.backend.attempt("join/4/0").step.split, "17/start/1");
}

TEST(Run, ForeachHasATaskPerItem) {
  RunWorld world(*fan_out_graph());
  world.items["start"] = 4;
  world.expect_done();
  EXPECT_THAT(world.committed("work"), ElementsAre("2", "3", "4", "5"));
  EXPECT_EQ(world.backend.attempt("work/4/0").step.split_index, 2U);
  EXPECT_THAT(world.backend.attempt("join/6/0").step.inputs, SizeIs(4));
  EXPECT_THAT(world.reporter.lines, Contains("[17/start/1] Foreach yields 4 child steps."));
  EXPECT_THAT(world.metadata.lines, Contains("17/work/4 attempt 0 foreach-execution-path=work:2"));
  EXPECT_EQ(world.history().steps["work"].expected, 4U);
}

TEST(Run, NestedForeach) {
  RunWorld world(*nested_graph());
  world.items = {{"start", 2}, {"outer", 3}};
  world.expect_done();
  EXPECT_THAT(world.committed("outer"), SizeIs(2));
  EXPECT_THAT(world.committed("inner"), SizeIs(6));
  EXPECT_THAT(world.committed("join_inner"), SizeIs(2));
  EXPECT_THAT(world.committed("join_outer"), SizeIs(1));
}

TEST(Run, NoMoreTasksAtATimeThanWorkers) {  // the backend checks it
  RunWorld world(*fan_out_graph());
  world.items["start"] = 10;
  world.options.max_workers = 4;
  world.expect_done();
  EXPECT_EQ(world.elapsed(), (1 + 3 + 1 + 1) * kTestSecond);
}

TEST(Run, MaxNumSplitsIsEnforced) {
  RunWorld world(*fan_out_graph());
  world.items["start"] = 11;
  world.options.max_num_splits = 10;
  const RunResult result = world.execute();
  EXPECT_EQ(result.error, ErrorCode::step_failure);
  EXPECT_THAT(result.what, HasSubstr("Foreach in step start (task-id 1) yielded 11 child steps"));
  EXPECT_THAT(world.committed("start"), SizeIs(1)) << "resume continues from it";
  EXPECT_THAT(world.committed("work"), IsEmpty());
}

TEST(Run, TaskWithoutNextStepFailsTheRun) {
  RunWorld world(*linear_graph());
  world.backend.plan = [](const compute::Attempt&) {
    AttemptPlan plan = succeeds();
    plan.left->next = {"nowhere"};
    return plan;
  };
  const RunResult result = world.execute();
  EXPECT_EQ(result.error, ErrorCode::step_failure);
  EXPECT_THAT(result.what, HasSubstr("Step start (task-id 1) failed: its data.json does not name the next step."));
}

TEST(Run, MoreThanAHundredInputsAreStored) {
  for (const bool slow : {false, true}) {
    RunWorld world(*fan_out_graph());
    world.items["start"] = 101;
    world.options.max_num_splits = world.options.max_workers = 1000;
    world.on_background = [&](store::ScriptedBackground& background) {
      if (slow) background.takes = [] { return kTestSecond; };
    };
    world.expect_done();
    const compute::StepArguments& join = world.backend.attempt("join/103/0").step;
    EXPECT_TRUE(join.inputs_stored);
    EXPECT_THAT(join.inputs, IsEmpty());
    EXPECT_THAT(compute::unpack_inputs(world.direct.read_inputs({"17", "join", "103"})), SizeIs(101));
    EXPECT_FALSE(world.backend.attempt("work/2/0").step.inputs_stored);
  }
}

TEST(Run, EventsOfAnAttempt) {
  RunWorld world(*linear_graph());
  world.backend.plan = [](const compute::Attempt& attempt) {
    AttemptPlan plan = attempt.step.step == "work" ? dies("it died") : succeeds();
    plan.verdict.signal = plan.left ? 0 : 9;
    plan.output = "hello\n";
    return plan;
  };
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  const auto with = [&](const std::string& name) {
    std::vector<std::string> found;
    for (const std::string& event : world.reporter.events)
      if (event.starts_with(name + ",")) found.push_back(event.substr(name.size()));
    return found;
  };
  EXPECT_THAT(with("tasks_expected"),
              ElementsAre(R"(, "step": "start", "tasks": 1)", R"(, "step": "work", "tasks": 1)"));
  EXPECT_THAT(with("task_started")[0],
              R"(, "step": "start", "task": "1", "attempt": 0, "where": "pid 1", "fallback": false)");
  EXPECT_THAT(with("task_output")[0],
              R"(, "step": "start", "task": "1", "attempt": 0, "stream": "stdout", "text": "hello")");
  EXPECT_THAT(with("task_finished")[0], HasSubstr(R"("seconds": 1.000000, "cpu_seconds": )"));
  EXPECT_THAT(with("task_failed")[0], HasSubstr(R"("cause": "it died", "timed_out": false, "signal": 9)"));
  EXPECT_THAT(with("run_stopping")[0], R"(, "cause": "Step work (task-id 2) failed.", "running": 0)");
  EXPECT_THAT(world.reporter.events.back(), HasSubstr(R"(run_ended, "state": "failed", "exit_code": 1)"));
}

TEST(Run, TasksWithoutRoomWaitInOrder) {
  RunWorld world(*branches_graph());
  world.backend.room = [&](const std::string& step) {
    return step == "b" ? world.backend.running() == 0 : world.backend.running() < 2;
  };
  world.expect_done();
  EXPECT_EQ(world.elapsed(), 5 * kTestSecond) << "start, a, b, join, end";
}

TEST(Run, RunWaitsForRoom) {
  RunWorld world(*linear_graph());
  world.backend.room = [&](const std::string& step) { return step != "work" || world.elapsed() > 60 * kTestSecond; };
  world.expect_done();
  EXPECT_GT(world.elapsed(), 62 * kTestSecond);

  RunWorld interrupted(*linear_graph());
  interrupted.backend.room = [](const std::string&) { return false; };
  interrupted.on_turn = [&](int turn) {
    if (turn == 5) interrupted.run->interrupt("Stop.");
  };
  EXPECT_EQ(interrupted.execute().error, ErrorCode::interrupted);
}

TEST(Run, TasksWaitForTheirIds) {
  RunWorld world(*linear_graph());
  world.metadata.is_ready = [&](const std::string& step) {
    return step != "work" || world.elapsed() >= kTestSecond * 9;
  };
  world.expect_done();
  EXPECT_EQ(world.elapsed(), 11 * kTestSecond);
}

TEST(Run, EndWaitsForTheMetadataUntilInterrupted) {
  RunWorld world(*linear_graph());
  world.metadata.is_idle = [&] { return world.elapsed() >= 9 * kTestSecond; };
  world.expect_done();
  EXPECT_EQ(world.elapsed(), 9 * kTestSecond);

  RunWorld interrupted(*linear_graph());
  interrupted.metadata.is_idle = [] { return false; };
  interrupted.on_turn = [&](int) {
    if (interrupted.elapsed() >= 20 * kTestSecond) interrupted.run->interrupt("Stop.");
  };
  const RunResult result = interrupted.execute("18");
  EXPECT_EQ(result.error, ErrorCode::interrupted);
  EXPECT_THAT(interrupted.reporter.lines,
              Contains("Workflow interrupted before all metadata was sent. All tasks had finished."));
}

TEST(Run, SlowReaderHoldsUpTasks) {
  RunWorld world(*linear_graph());
  world.reporter.is_congested = true;
  world.on_turn = [&](int) { world.reporter.is_congested = world.elapsed() < 10 * kTestSecond; };
  world.expect_done();
  EXPECT_THAT(world.backend.asked,
              ElementsAre("submit start/1/0", "hold", "release", "submit work/2/0", "submit end/3/0", "end"));
  EXPECT_GE(world.elapsed(), 12 * kTestSecond);
}

TEST(Run, LargeOutputHoldsUpTasksAtOnce) {
  RunWorld world(*linear_graph());
  world.backend.plan = [&](const compute::Attempt&) {
    AttemptPlan plan = succeeds();
    plan.output = std::string(5000, 'x');
    world.reporter.is_congested = true;
    return plan;
  };
  world.on_turn = [&](int) {
    if (world.elapsed() > 3 * kTestSecond) world.reporter.is_congested = false;
  };
  world.expect_done();
  EXPECT_EQ(world.backend.asked[1], "hold");
}

/// Tasks that take so long that the live view is redrawn meanwhile, and end soon after each other.
std::function<AttemptPlan(const compute::Attempt&)> long_tasks() {
  return [tasks = 0](const compute::Attempt&) mutable {
    AttemptPlan plan = succeeds();
    plan.takes = 10 * kTestSecond + kTestSecond / 100 * ++tasks;
    return plan;
  };
}

TEST(Run, LiveViewIsRemovedAtTheEnd) {
  RunWorld world(*fan_out_graph());
  world.backend.plan = long_tasks();
  bool was_shown = false;
  world.on_turn = [&](int) { was_shown = was_shown || !world.reporter.status.empty(); };
  world.expect_done();
  EXPECT_TRUE(was_shown);
  EXPECT_THAT(world.reporter.status, IsEmpty());
}

TEST(Run, LiveViewOmitsAStepThatHasEnded) {
  RunWorld world(*fan_out_graph());
  world.backend.plan = long_tasks();
  bool was_shown = false;
  world.on_turn = [&](int) {
    const bool shown = !world.reporter.status.empty();
    was_shown = was_shown || shown;
    if (shown) {
      EXPECT_THAT(world.backend.asked, Not(Contains(HasSubstr("submit join"))));
    }
  };
  world.expect_done();
  EXPECT_TRUE(was_shown);
}

TEST(Run, LongRunReportsItsProgress) {
  RunWorld world(*linear_graph());
  world.backend.plan = [](const compute::Attempt&) {
    AttemptPlan plan = succeeds();
    plan.takes = 400 * kTestSecond;
    return plan;
  };
  world.expect_done();
  EXPECT_THAT(world.reporter.lines, Contains(HasSubstr("1 task")));
}

TEST(Run, AttemptDescription) {
  static const TestGraph graph{{"start",
                                Transition::linear,
                                {1},
                                false,
                                {make_decorator(environment{{{"A", "1"}}}), make_decorator(timeout{30})}},
                               {"end"}};
  RunWorld world(*graph);
  world.options.with = {"retry"};
  world.options.tags = {"t"};
  world.options.name_space = "user:me";
  world.options.branch = "user.me";
  world.remote = {"start"};
  world.backend.plan = [](const compute::Attempt& attempt) {
    AttemptPlan plan = succeeds();
    plan.verdict.committed = plan.verdict.log_stored = attempt.step.step == "start";
    return plan;
  };
  world.expect_done();
  const compute::Attempt& attempt = world.backend.attempt("start/1/0");
  EXPECT_THAT(attempt.environment, ElementsAre("A=1"));
  EXPECT_EQ(attempt.time_limit, 30 * kTestSecond);
  EXPECT_THAT(attempt.step.with, ElementsAre("retry"));
  EXPECT_THAT(attempt.step.tags, ElementsAre("t"));
  EXPECT_EQ(attempt.step.name_space, "user:me");
  EXPECT_EQ(attempt.step.branch, "user.me");
  EXPECT_EQ(attempt.step.datastore, "memory");
  EXPECT_EQ(world.backend.attempt("end/2/0").time_limit, 0);
  EXPECT_THAT(world.metadata.lines,
              AllOf(Contains("17/start/1 attempt 0 ds-type=memory"), Contains("17/start/1 attempt 0 code-package=code"),
                    Not(Contains("17/end/2 attempt 0 code-package=code"))));
}

TEST(Run, AnyOrderOfTaskEndsAndStoreAnswers) {
  for (unsigned seed = 0; seed < base::seeds(150); ++seed) {
    std::mt19937 random(seed);
    RunWorld world(*nested_graph());
    world.items = {{"start", 1 + random() % 4}, {"outer", 1 + random() % 4}};
    world.options.max_workers = 1 + random() % 6;
    world.on_background = [&](store::ScriptedBackground& background) {
      background.takes = [&] { return static_cast<std::int64_t>(random() % 3 * (random() % kTestSecond)); };
    };
    world.backend.plan = [&](const compute::Attempt&) {
      AttemptPlan plan = succeeds();
      plan.takes = static_cast<std::int64_t>(random() % kTestSecond);
      plan.starts = random() % 8 > 0;
      if (random() % 2 > 0) plan.output = "a line\n";
      plan.verdict.data_read = random() % 2 > 0;
      return plan;
    };
    world.expect_done();
    const std::size_t outer = world.items["start"];
    EXPECT_THAT(world.committed("outer"), SizeIs(outer));
    EXPECT_THAT(world.committed("inner"), SizeIs(outer * world.items["outer"]));
    EXPECT_THAT(world.committed("join_inner"), SizeIs(outer));
    EXPECT_THAT(world.committed("end"), SizeIs(1));
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

}  // namespace
}  // namespace metaflow::runtime
