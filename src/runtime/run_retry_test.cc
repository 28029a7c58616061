#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/caught.h>

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

constexpr std::int64_t kTestMinute = 60 * kTestSecond;

/// The steps start, work with these decorators, end.
TestGraph with(std::vector<detail::Decorator> decorators) {
  return {{"start", Transition::linear, {1}}, {"work", Transition::linear, {2}, false, std::move(decorators)}, {"end"}};
}

/// The ends of the attempts of `work`, in order; the last one is used for all further attempts.
std::function<AttemptPlan(const compute::Attempt&)> work_ends(std::vector<AttemptPlan> plans) {
  return [plans = std::move(plans)](const compute::Attempt& attempt) {
    if (attempt.step.step != "work") return succeeds();
    return plans[std::min(plans.size() - 1, static_cast<std::size_t>(attempt.step.retry_count))];
  };
}

TEST(RunRetry, OomKillIsReportedWithTheException) {
  const TestGraph graph = with({});
  RunWorld world(*graph);
  AttemptPlan plan = throws("boom");
  plan.verdict.lost_processes = true;
  world.backend.plan = work_ends({plan});
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  const std::string words = "Before that, the kernel killed a process that the task had started, for lack of memory.";
  EXPECT_EQ(world.log("work/2/0"), words + "\nTask failed.\n");
  EXPECT_THAT(world.reporter.lines, Contains("[17/work/2] " + words));
  EXPECT_EQ(world.history("17").attempts.back().cause, "boom. " + words);
}

TEST(RunRetry, RetriesAfterADelay) {
  const TestGraph graph = with({make_decorator(retry{.times = 2, .minutes_between_retries = 3})});
  RunWorld world(*graph);
  world.backend.plan = work_ends({throws("boom"), dies("Task was killed by SIGKILL."), succeeds()});
  world.expect_done();
  EXPECT_EQ(world.elapsed(), 5 * kTestSecond + 2 * 3 * kTestMinute);
  EXPECT_THAT(world.backend.asked, ElementsAre("submit start/1/0", "submit work/2/0", "submit work/2/1",
                                               "submit work/2/2", "submit end/3/0", "end"));
  EXPECT_THAT(world.reporter.lines, AllOf(Contains("[17/work/2] Task failed."),
                                          Contains("[17/work/2] Sleeping 3 minutes before the next retry"),
                                          Contains("[17/work/2] Task is starting (retry).")));
  EXPECT_EQ(world.log("work/2/0"), "Task failed.\n") << "the task has printed its exception itself";
  EXPECT_EQ(world.log("work/2/1"), "Task was killed by SIGKILL.\nTask failed.\n");
  EXPECT_TRUE(world.direct.is_done({"17", "work", "2"}, 0)) << "the values it had set are visible";
  EXPECT_FALSE(world.direct.is_done({"17", "work", "2"}, 1));
  const store::RunHistory history = world.history();
  ASSERT_THAT(history.attempts, SizeIs(5));
  EXPECT_EQ(history.attempts[1].cause, "boom");
  EXPECT_EQ(history.attempts[1].how, store::AttemptEnd::failed);
  EXPECT_EQ(history.attempts[2].cause, "Task was killed by SIGKILL.");
  EXPECT_EQ(history.attempts[3].how, store::AttemptEnd::done);
  EXPECT_THAT(world.metadata.lines,
              AllOf(Contains("17/work/2 attempt 0 artifacts"), Not(Contains("17/work/2 attempt 1 artifacts")),
                    Contains("17/work/2 attempt 1 failed"), Contains("17/work/2 attempt 2 begins")));
}

TEST(RunRetry, RetryWithoutDelayRunsBeforeOtherWaitingTasks) {
  static const TestGraph graph{
      {"start", Transition::foreach, {1}},
      {"work", Transition::linear, {2}, false, {make_decorator(retry{.times = 1, .minutes_between_retries = 0})}},
      {"join", Transition::linear, {3}, true},
      {"end"}};
  RunWorld world(*graph);
  world.options.max_workers = 1;
  world.backend.plan = [](const compute::Attempt& attempt) {
    return attempt.step.step == "work" && attempt.step.retry_count == 0 ? throws("boom") : succeeds();
  };
  world.expect_done();
  EXPECT_THAT(std::vector(world.backend.asked.begin(), world.backend.asked.begin() + 4),
              ElementsAre("submit start/1/0", "submit work/2/0", "submit work/2/1", "submit work/3/0"));
  EXPECT_EQ(world.elapsed(), 9 * kTestSecond);
}

TEST(RunRetry, OtherTasksRunDuringTheDelay) {
  static const TestGraph graph{
      {"start", Transition::foreach, {1}},
      {"work", Transition::linear, {2}, false, {make_decorator(retry{.times = 1, .minutes_between_retries = 1})}},
      {"join", Transition::linear, {3}, true},
      {"end"}};
  RunWorld world(*graph);
  world.options.max_workers = 1;
  world.items["start"] = 20;
  world.backend.plan = [](const compute::Attempt& attempt) {
    return attempt.step.task == "2" && attempt.step.retry_count == 0 ? throws("boom") : succeeds();
  };
  world.expect_done();
  EXPECT_EQ(world.elapsed(), 2 * kTestSecond + kTestMinute + 3 * kTestSecond);
}

TEST(RunRetry, RunFailsWhenRetriesAreExhausted) {
  const TestGraph graph = with({make_decorator(retry{.times = 1, .minutes_between_retries = 0})});
  RunWorld world(*graph);
  world.backend.plan = work_ends({throws("boom")});
  const RunResult result = world.execute();
  EXPECT_EQ(result.error, ErrorCode::step_failure);
  EXPECT_EQ(result.what, "Step work (task-id 2) failed.");
  EXPECT_THAT(world.backend.submitted, SizeIs(3));
  EXPECT_THAT(world.reporter.lines, AllOf(Contains("[17/work/2] To rerun only this task: ./f debug 17/work/2"),
                                          Contains("Workflow failed.")));
}

TEST(RunRetry, HopelessAttemptIsNotRetried) {
  const TestGraph graph = with({make_decorator(retry{.times = 3, .minutes_between_retries = 0})});
  RunWorld world(*graph);
  AttemptPlan hopeless = dies("The image does not exist.");
  hopeless.verdict.hopeless = true;
  hopeless.starts = false;
  world.backend.plan = work_ends({hopeless});
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  EXPECT_THAT(world.backend.submitted, SizeIs(2));
  EXPECT_THAT(world.reporter.lines, Contains("[17/work/2] The image does not exist."));
}

TEST(RunRetry, CatchGetsTheLastFailure) {
  const TestGraph graph = with({make_decorator(retry{.times = 1, .minutes_between_retries = 5}),
                                make_decorator(timeout{.seconds = 9}), make_decorator(catch_{})});
  RunWorld world(*graph);
  world.backend.plan = work_ends({throws("boom"), dies("Task was killed by SIGSEGV."), succeeds()});
  world.expect_done();
  EXPECT_EQ(world.elapsed(), 5 * kTestSecond + 5 * kTestMinute) << "the fallback starts without delay";
  const compute::Attempt& second = world.backend.attempt("work/2/1");
  EXPECT_EQ(second.step.failure, "");
  EXPECT_EQ(second.time_limit, 9 * kTestSecond);
  const compute::Attempt& caught = world.backend.attempt("work/2/2");
  EXPECT_EQ(caught.step.failure, "Task was killed by SIGSEGV.");
  EXPECT_EQ(caught.step.failure_type, CaughtException::kProcessDied);
  EXPECT_EQ(caught.step.max_user_code_retries, 1);
  EXPECT_EQ(caught.time_limit, 0);
  EXPECT_THAT(world.reporter.lines, Contains("[17/work/2] Task fallback is starting to handle the failure."));
  EXPECT_TRUE(world.history().attempts[3].fallback);
}

TEST(RunRetry, FallbackThatDiesIsRepeated) {
  const TestGraph graph = with({make_decorator(catch_{})});
  RunWorld world(*graph);
  world.backend.plan = work_ends({dies("bad luck"), dies("bad luck"), succeeds()});
  world.expect_done();
  RunWorld unlucky(*graph);
  unlucky.backend.plan = work_ends({dies("bad luck")});
  EXPECT_EQ(unlucky.execute().error, ErrorCode::step_failure);
  EXPECT_THAT(unlucky.backend.submitted, SizeIs(1 + 1 + 3));
}

TEST(RunRetry, TimeoutMessages) {
  struct Case {
    bool told;
    bool killed_late;
    const char* cause;
    bool is_shown;
  };
  for (const Case& c :
       {Case{true, false, "Step work timed out after 0 hours, 0 minutes, 30 seconds", false},
        Case{false, false, "Step work timed out after 0 hours, 0 minutes, 30 seconds", true},
        Case{false, true,
             "Step work timed out after 0 hours, 0 minutes, 30 seconds, and was killed because it did not exit in time",
             true}}) {
    const TestGraph graph = with({make_decorator(timeout{.seconds = 30}), make_decorator(catch_{})});
    RunWorld world(*graph);
    AttemptPlan late = dies("Task was killed by SIGKILL.");
    late.verdict.timed_out = true;
    late.verdict.timeout_reported = c.told;
    late.verdict.killed_late = c.killed_late;
    world.backend.plan = work_ends({late, succeeds()});
    world.expect_done();
    EXPECT_EQ(world.backend.attempt("work/2/1").step.failure_type, CaughtException::kTimedOut);
    EXPECT_EQ(world.backend.attempt("work/2/1").step.failure, c.cause);
    EXPECT_EQ(world.history().attempts[1].cause, c.cause);
    EXPECT_EQ(world.reporter.count(fmt::format("] {}", c.cause)), c.is_shown ? 1U : 0U);
    EXPECT_EQ(world.log("work/2/0"), (c.is_shown ? fmt::format("{}\n", c.cause) : "") + "Task failed.\n");
  }
}

TEST(RunRetry, AttemptThatDiesAfterItsStepHasFailed) {
  RunWorld world(*linear_graph());
  AttemptPlan late = succeeds();
  late.verdict.exited = late.verdict.exited_with_zero = false;
  late.verdict.cause = "Task was killed by SIGSEGV.";
  world.backend.plan = work_ends({late});
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  EXPECT_THAT(world.reporter.lines,
              Contains(HasSubstr("Task was killed by SIGSEGV. The step had finished; the process died in "
                                 "exit(), perhaps in a static destructor.")));
  EXPECT_THAT(world.committed("work"), IsEmpty());
}

TEST(RunRetry, AttemptThatExitsWithZeroAndNoResultHasFailed) {
  RunWorld world(*linear_graph());
  AttemptPlan nothing = succeeds();
  nothing.left.reset();
  nothing.verdict.cause = "Task ended with exit status 0 before its step was finished. Did it call exit()?";
  nothing.output = "bye\n";
  world.backend.plan = work_ends({nothing});
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  EXPECT_EQ(world.log("work/2/0"), "bye\n" + nothing.verdict.cause + "\nTask failed.\n");
}

TEST(RunRetry, AttemptThatCannotStartHasFailed) {
  RunWorld world(*linear_graph());
  AttemptPlan unstarted = dies("No such file.");
  unstarted.starts = false;
  world.backend.plan = work_ends({unstarted});
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  EXPECT_THAT(world.reporter.lines, Contains("[17/work/2] No such file."));
}

TEST(RunRetry, LostAttemptsAreNotCountedAsRetries) {
  const TestGraph graph = with({make_decorator(retry{.times = 1, .minutes_between_retries = 2})});
  RunWorld world(*graph);
  world.backend.plan = work_ends({is_lost(2), throws("boom"), is_lost(2), succeeds()});
  world.expect_done();
  EXPECT_EQ(world.elapsed(), 6 * kTestSecond + 2 * kTestMinute) << "a delay for the one that counts";
  EXPECT_THAT(world.reporter.lines, AllOf(Contains("[17/work/2] Rerunning (not counted as a retry, 1 of 2)."),
                                          Contains("[17/work/2] Rerunning (not counted as a retry, 2 of 2).")));
  EXPECT_EQ(world.backend.attempt("work/2/0").step.max_user_code_retries, 1);
  EXPECT_EQ(world.backend.attempt("work/2/3").step.max_user_code_retries, 3);
}

TEST(RunRetry, RerunsOfLostAttemptsAreLimited) {
  RunWorld world(*linear_graph());
  world.backend.plan = work_ends({is_lost(2)});
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  EXPECT_THAT(world.backend.submitted, SizeIs(1 + 3));
  // Metaflow's clients know of six attempts.
  RunWorld many(*linear_graph());
  many.backend.plan = work_ends({is_lost(100)});
  EXPECT_EQ(many.execute().error, ErrorCode::step_failure);
  EXPECT_THAT(many.backend.submitted, SizeIs(1 + 6));
}

TEST(RunRetry, LostAttemptIsNotRerunWithoutRetries) {
  const TestGraph graph = with({make_decorator(retry{.times = 0})});
  RunWorld world(*graph);
  world.backend.plan = work_ends({is_lost(2)});
  EXPECT_EQ(world.execute().error, ErrorCode::step_failure);
  EXPECT_THAT(world.backend.submitted, SizeIs(2));
}

TEST(RunRetry, WorkOfTheSupervisorIsNotRepeated) {
  RunWorld world(*linear_graph());
  world.remote = {"work"};
  AttemptPlan threw = throws("boom");
  threw.verdict.committed = threw.verdict.log_stored = threw.verdict.data_read = true;
  AttemptPlan well = succeeds();
  well.verdict.committed = well.verdict.log_stored = well.verdict.data_read = true;
  well.output = "shown, and stored there\n";
  const TestGraph graph = with({make_decorator(retry{.times = 1, .minutes_between_retries = 0})});
  RunWorld remote(*graph);
  remote.remote = {"work"};
  remote.backend.plan = work_ends({threw, well});
  remote.expect_done();
  EXPECT_THAT(remote.reporter.lines, Contains("[17/work/2] shown, and stored there"));
  EXPECT_EQ(remote.log("work/2/1"), "");
  EXPECT_EQ(remote.log("work/2/0"), "Task failed.\n") << "the scheduler's lines, in addition to the supervisor's log";
  for (const char* name : {"0.DONE.lock", "1.DONE.lock", "0.attempt.json", "1.attempt.json", "1.runtime_stdout.log"})
    EXPECT_EQ(remote.storage.puts[std::string("F/17/work/2/") + name], 0) << name;
}

TEST(RunRetry, RemoteAttemptWithoutBeginMarkIsMarkedAtItsEnd) {
  const TestGraph graph = with({make_decorator(retry{.times = 1, .minutes_between_retries = 0})});
  RunWorld world(*graph);
  world.remote = {"work"};
  AttemptPlan gone = dies("The pod vanished.");
  AttemptPlan well = succeeds();
  well.verdict.committed = well.verdict.log_stored = true;
  world.backend.plan = work_ends({gone, well});
  world.expect_done();
  EXPECT_EQ(world.storage.puts["F/17/work/2/0.attempt.json"], 1);
  EXPECT_EQ(world.storage.puts["F/17/work/2/1.attempt.json"], 0);
}

TEST(RunRetry, NoticesOfManyTasksAreMergedPerStep) {
  RunWorld world(*fan_out_graph());
  world.items["start"] = 5;
  world.backend.plan = [&](const compute::Attempt& attempt) {
    if (attempt.step.task == "6") {
      world.on_turn = [&, done = false](int) mutable {
        if (std::exchange(done, true)) return;
        const std::vector<compute::AttemptId> all{2, 3, 4, 5, 6};
        world.run->on_notice(std::span(all).first(2), "Pod is pending.", false);
        world.run->on_notice(all, "Pods are pending.", false);
        world.run->on_notice(all, "Job is queued.", true);
      };
    }
    return succeeds();
  };
  world.expect_done();
  EXPECT_EQ(world.reporter.count("] Pod is pending."), 2U);
  EXPECT_EQ(world.reporter.count("5 tasks of step work: Pods are pending."), 1U);
  EXPECT_EQ(world.reporter.count("] Job is queued."), 5U);
}

TEST(Outcome, TimedOutAttemptKeepsItsSavedValues) {
  compute::Verdict killed;
  store::TaskData left;
  left.ok = false;
  EXPECT_EQ(outcome_of(killed, &left), Outcome::died);
  killed.timed_out = true;
  EXPECT_EQ(outcome_of(killed, &left), Outcome::threw);
  EXPECT_EQ(outcome_of(killed, nullptr), Outcome::died);
  left.ok = true;  // it had finished, and timed out in a static destructor
  EXPECT_EQ(outcome_of(killed, &left), Outcome::died);
}

}  // namespace
}  // namespace metaflow::runtime
