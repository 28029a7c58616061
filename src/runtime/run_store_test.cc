#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "runtime/run.h"
#include "runtime/run_testing.h"

namespace metaflow::runtime {
namespace {

using detail::Transition;
using graph::TestGraph;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

/// The steps start, three tasks of work (one fails at first), join, end.
const TestGraph& with_retry() {
  static const TestGraph graph{
      {"start", Transition::foreach, {1}},
      {"work", Transition::linear, {2}, false, {make_decorator(retry{.times = 1, .minutes_between_retries = 0})}},
      {"join", Transition::linear, {3}, true},
      {"end"}};
  return graph;
}

AttemptPlan with_output(const compute::Attempt& attempt) {
  const bool fails = attempt.step.split_index == 1U && attempt.step.retry_count == 0;
  AttemptPlan plan = fails ? throws("boom") : succeeds();
  plan.output = "a line\n";
  return plan;
}

std::size_t committed(const RunWorld& world, const std::string& run) {
  std::size_t tasks = 0;
  for (const graph::Step& step : world.graph.steps()) tasks += world.committed(step.name, run).size();
  return tasks;
}

/// Makes each operation of a run fail, one after the other; then the store works again, and the run is resumed.
void fail_everywhere(const TestGraph& graph, const std::function<void(RunWorld&)>& prepare, int at_least) {
  for (int n = 1;; ++n) {
    RunWorld world(*graph);
    world.backend.plan = with_output;
    prepare(world);
    world.storage.fails_at = n;
    const RunResult result = world.execute();
    if (world.storage.operations < n) {
      EXPECT_FALSE(result.error) << result.what;
      EXPECT_GE(n, at_least);
      return;
    }
    EXPECT_EQ(result.error, ErrorCode::data_store);
    EXPECT_EQ(result.what, "no connection");
    const std::size_t done = committed(world, "17");
    world.storage.fails_at = 0;
    world.backend.plan = nullptr;
    world.expect_done("18", "17");
    EXPECT_EQ(world.history("18").clones.size(), done);
    ASSERT_FALSE(testing::Test::HasFailure()) << "operation " << n << " failed";
  }
}

TEST(RunStore, EachOperationFails) {
  fail_everywhere(
      with_retry(), [](RunWorld&) {}, 25);
}

TEST(RunStore, EachOperationFailsInTheBackground) {
  fail_everywhere(
      with_retry(),
      [](RunWorld& world) {
        world.on_background = [](store::ScriptedBackground& background) {
          background.takes = [n = 0]() mutable { return 100'000 + ++n % 5 * 400'000; };
        };
      },
      25);
}

TEST(RunStore, EachOperationFailsWhileOtherTasksRunAndCommit) {
  for (unsigned seed = 0; seed < 6; ++seed) {
    std::mt19937 random(seed);
    fail_everywhere(
        nested_graph(),
        [&](RunWorld& world) {
          world.items = {{"start", 2}, {"outer", 2}};
          world.backend.plan = [&](const compute::Attempt&) {
            AttemptPlan plan = succeeds();
            plan.takes = static_cast<std::int64_t>(random() % kTestSecond);
            return plan;
          };
          world.on_background = [&](store::ScriptedBackground& background) {
            background.takes = [&] { return static_cast<std::int64_t>(random() % (kTestSecond / 2)); };
          };
        },
        30);
  }
}

TEST(RunStore, InputsCannotBeStored) {
  RunWorld world(*fan_out_graph());
  world.items["start"] = 101;
  world.options.max_num_splits = 1000;
  world.storage.refuses = [](const std::string& path) { return path.ends_with("inputs.txt"); };
  EXPECT_EQ(world.execute().error, ErrorCode::data_store);
  EXPECT_THAT(world.committed("work"), SizeIs(101));
  world.storage.refuses = nullptr;
  world.expect_done("18", "17");
}

TEST(RunStore, StoreErrorKillsRunningTasks) {
  RunWorld world(*fan_out_graph());
  world.backend.plan = [](const compute::Attempt& attempt) {
    AttemptPlan plan = succeeds();
    if (attempt.step.task == "3" || attempt.step.task == "4") plan.takes = 100 * kTestSecond;
    return plan;
  };
  world.storage.refuses = [](const std::string& path) { return path == "F/17/work/2/0.DONE.lock"; };
  EXPECT_EQ(world.execute().error, ErrorCode::data_store);
  EXPECT_EQ(world.elapsed(), 2 * kTestSecond);
  EXPECT_THAT(world.backend.asked, Contains("force 3"));
  EXPECT_THAT(world.backend.asked, Contains("force 4"));
}

TEST(RunStore, DamagedTaskDataFailsTheRun) {
  RunWorld world(*linear_graph());
  world.on_turn = [&](int) {
    if (world.backend.ended.contains("work/2/0")) return;
    if (world.elapsed() >= kTestSecond) world.backend.plan = nullptr;
  };
  world.on_background = [&](store::ScriptedBackground& background) {
    background.takes = [&]() -> std::int64_t {
      if (world.backend.ended.contains("work/2/0"))
        store::put(world.disk, "F/17/work/2/0.data.json", "{\"objects\": 1");
      return 0;
    };
  };
  const RunResult result = world.execute();
  EXPECT_EQ(result.error, ErrorCode::data_store);
  EXPECT_THAT(result.what, HasSubstr("'F/17/work/2/0.data.json' is damaged"));
}

TEST(RunStore, UncommittedAttemptsAreBounded) {
  RunWorld world(*fan_out_graph());
  world.items["start"] = 300;
  world.options.max_num_splits = 1000;
  world.options.max_workers = 10;
  std::size_t most = 0;
  world.on_turn = [&](int turn) {
    if (!world.background || world.elapsed() < 2 * kTestSecond) return;
    if (turn < 200) world.background->holds = [](const std::string& path) { return path.ends_with("DONE.lock"); };
    most = std::max(most, world.background->held());
    if (turn == 200) world.background->release();
  };
  world.expect_done();
  EXPECT_GE(most, 64U);
  EXPECT_LT(most, 64U + 10U) << "plus the attempts that were running";
}

TEST(RunStore, BeginMarkIsWrittenBeforeTheDoneMark) {
  RunWorld world(*linear_graph());
  world.on_background = [&](store::ScriptedBackground& background) {
    background.holds = [](const std::string& path) { return path.ends_with("work/2/0.attempt.json"); };
  };
  bool ended_first = false;
  world.on_turn = [&](int) {
    if (world.elapsed() < 30 * kTestSecond || world.background->held() == 0) return;
    ended_first = world.backend.ended.contains("work/2/0") && !world.direct.is_done({"17", "work", "2"}, 0);
    world.background->release();
  };
  world.expect_done();
  EXPECT_TRUE(ended_first);
}

}  // namespace
}  // namespace metaflow::runtime
