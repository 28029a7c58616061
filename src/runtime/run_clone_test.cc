#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"
#include "runtime/run.h"
#include "runtime/run_testing.h"
#include "store/stored_artifact.h"

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

/// Executes run 17; the tasks of `step` at `item` (or all) fail.
void leave_failed(RunWorld& world, const std::string& step, std::optional<std::size_t> item = {}) {
  world.backend.plan = [=](const compute::Attempt& attempt) {
    return attempt.step.step == step && (!item || attempt.step.split_index == item) ? throws("boom") : succeeds();
  };
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  world.backend.plan = nullptr;
  world.metadata.lines.clear();
}

TEST(RunClone, FinishedTasksAreCloned) {
  RunWorld world(*linear_graph());
  leave_failed(world, "end");
  world.expect_done("18", "17");
  EXPECT_THAT(world.backend.asked, ElementsAre("submit end/6/0", "end"));
  EXPECT_THAT(world.reporter.lines, AllOf(Contains("[18/start/4] Cloning previously run task 17/start/1"),
                                          Contains("[18/work/5] Cloning previously run task 17/work/2")));
  EXPECT_THAT(world.committed("work", "18"), ElementsAre("5"));
  EXPECT_THAT(world.backend.attempt("end/6/0").step.inputs, ElementsAre(store::TaskRef{"18", "work", "5"}));
  EXPECT_EQ(world.backend.attempt("end/6/0").step.origin_run_id, "17");
  EXPECT_THAT(world.metadata.lines,
              AllOf(Contains("18/work/5 artifacts of 17/work/2"), Contains("18/work/5 attempt 0 origin-run-id=17"),
                    Contains("18/work/5 attempt 0 origin-task-id=2"), Contains("18/work/5 attempt 0 attempt-done=0"),
                    Contains("18/end/6 attempt 0 origin-run-id=17")));
  const store::RunHistory history = world.history("18");
  ASSERT_THAT(history.clones, SizeIs(2));
  EXPECT_EQ(history.clones[1].from.path(), "17/work/2");
}

TEST(RunClone, FinishedRunIsClonedCompletely) {
  RunWorld world(*nested_graph());
  world.expect_done();
  world.expect_done("18", "17");
  EXPECT_THAT(world.backend.submitted, IsEmpty());
  EXPECT_THAT(world.committed("inner", "18"), SizeIs(9));
}

/// In S3 each operation takes a request.
TEST(RunClone, OperationsDoNotGrowWithTheNumberOfForeachs) {
  const auto operations = [](std::uint64_t width) {
    RunWorld world(*nested_graph());
    world.items["start"] = width;
    const store::ArtifactRecord labels = store::save_value(world.direct, "_foreach_values", [](detail::Pickler& out) {
      detail::encode(out, std::vector<std::string>{"red", "green", "blue"});
    });
    world.backend.plan = [labels](const compute::Attempt& attempt) {
      AttemptPlan plan = attempt.step.step == "inner" && attempt.step.split_index == 1 ? throws("boom") : succeeds();
      if (attempt.step.step == "outer") plan.left->artifacts.push_back(labels);
      return plan;
    };
    EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
    world.storage.operations = 0;
    int cloning = 0;  // operations before the first task
    world.backend.plan = [&](const compute::Attempt& /*attempt*/) {
      if (cloning == 0) cloning = world.storage.operations;
      return succeeds();
    };
    world.expect_done("18", "17");
    EXPECT_THAT(world.reporter.events, Contains(HasSubstr("\"label\": \"green\"")));
    return cloning;
  };
  EXPECT_EQ(operations(2), operations(9));
}

TEST(RunClone, CloningWaitsForASlowReader) {
  RunWorld world(*nested_graph());
  world.expect_done();
  world.reporter.is_congested = true;
  int waited = 0;
  world.on_turn = [&](int) {
    if (++waited < 5) {
      EXPECT_THAT(world.committed("start", "18"), IsEmpty());
    } else {
      world.reporter.is_congested = false;
    }
  };
  world.expect_done("18", "17");
  EXPECT_GE(waited, 5);
}

TEST(RunClone, OnlyMissingForeachItemsAreExecuted) {
  RunWorld world(*fan_out_graph());
  world.items["start"] = 200;  // more than are read together
  world.options.max_num_splits = 1000;
  leave_failed(world, "work", 130);
  const std::size_t done = world.committed("work").size();
  EXPECT_GE(done, 130U);
  world.expect_done("18", "17");
  EXPECT_EQ(world.history("18").clones.size(), 1 + done);
  EXPECT_THAT(world.committed("work", "18"), SizeIs(200));
}

TEST(RunClone, UnknownOriginIsNotReferredTo) {
  RunWorld world(*linear_graph());
  leave_failed(world, "end");
  world.options.origin_is_known = false;
  world.expect_done("18", "17");
  EXPECT_THAT(world.metadata.lines, Not(Contains("18/work/5 attempt 0 origin-run-id=17")));
}

TEST(RunClone, DamagedTaskIsRerun) {
  RunWorld world(*linear_graph());
  world.backend.plan = [&](const compute::Attempt& attempt) {
    AttemptPlan plan = attempt.step.step == "end" ? throws("boom") : succeeds();
    if (attempt.step.step == "work")
      plan.left->artifacts.push_back({"x", "00112233445566778899aabbccddeeff00112233", 5, "<class 'int'>"});
    return plan;
  };
  world.execute();
  world.backend.plan = nullptr;
  world.expect_done("18", "17");
  EXPECT_THAT(world.backend.submitted, SizeIs(2));
  EXPECT_THAT(world.reporter.lines, Contains(HasSubstr("Task 17/work/2 is rerun instead of cloned: ")));
}

TEST(RunClone, OutlookNamesClonedAndNextTasks) {
  RunWorld world(*fan_out_graph());
  leave_failed(world, "work", 1);
  std::string outlook;
  world.backend.room = [&](const std::string&) {  // called before anything is executed
    if (outlook.empty()) outlook = world.run->outlook();
    return true;
  };
  world.expect_done("18", "17");
  EXPECT_EQ(outlook, "3 tasks were cloned: start, work (2 tasks). To execute next: work.");
}

TEST(RunClone, ClonesWaitForTheirIds) {
  RunWorld world(*linear_graph());
  leave_failed(world, "end");
  const std::int64_t before = world.elapsed();
  world.metadata.is_ready = [&](const std::string& step) {
    if (step == "work" && world.elapsed() < before + 5 * kTestSecond) {
      world.loop.after(kTestSecond, [] {});
      return false;
    }
    return true;
  };
  world.expect_done("18", "17");
  EXPECT_THAT(world.committed("work", "18"), SizeIs(1));
}

TEST(RunClone, CloningCanBeInterruptedAtAnyMoment) {
  for (int asked = 1;; ++asked) {
    RunWorld world(*fan_out_graph());
    leave_failed(world, "end");
    int times = 0;
    world.metadata.is_ready = [&](const std::string& step) {  // called before each task
      if (step != "end" && ++times == asked) world.run->interrupt("Stop.");
      return true;
    };
    const RunResult result = world.execute("18", "17");
    world.metadata.is_ready = nullptr;
    if (times < asked) {
      EXPECT_FALSE(result.error) << result.what;
      EXPECT_EQ(times, 5) << "start, three times work, join";
      return;
    }
    EXPECT_EQ(result.error, ErrorCode::interrupted);
    world.expect_done("19", "18");
    world.expect_done("20", "17");
    ASSERT_FALSE(HasFailure()) << asked;
  }
}

TEST(RunClone, AnyStoreOperationMayFailWhileCloning) {
  int reached = 0;
  for (int n = 1;; ++n) {
    RunWorld world(*fan_out_graph());
    leave_failed(world, "join");
    world.storage.operations = 0;
    world.storage.fails_at = n;
    RunResult result = world.execute("18", "17");
    world.storage.fails_at = 0;
    if (world.storage.operations < n) {
      EXPECT_FALSE(result.error) << result.what;
      break;
    }
    // A task that cannot be read may count as unfinished: then it is executed again.
    if (result.error) {
      EXPECT_EQ(result.error, ErrorCode::data_store);
      ++reached;
    }
    world.expect_done("19", "17");
    ASSERT_FALSE(HasFailure()) << "operation " << n << " failed";
  }
  EXPECT_GT(reached, 10);
}

}  // namespace
}  // namespace metaflow::runtime
