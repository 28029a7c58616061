#include "compute/remote/judge.h"

#include <gtest/gtest.h>

namespace metaflow::compute {
namespace {

AttemptResult left(store::ExitReport report, bool done = false) {
  AttemptResult left;
  left.report = std::move(report);
  left.done = done;
  return left;
}

store::ExitReport finished() {
  return {.stage = store::Stage::commit, .committed = true, .exited = true, .exit_code = 0};
}

JobEnd ended(EndedBy by, const char* cause = "the pod's cause") { return {.by = by, .exit_code = 1, .cause = cause}; }

TEST(Judge, CommittedAttemptIsDoneWhateverHappenedToThePod) {
  for (const EndedBy by : {EndedBy::cluster, EndedBy::deadline, EndedBy::memory, EndedBy::task}) {
    const JobEnd pod = ended(by);
    const Verdict verdict =
        judge({.end = &pod, .was_running = true, .has_limit = false, .uncounted_retries = 3}, left(finished(), true));
    EXPECT_TRUE(verdict.exited_with_zero && verdict.committed && verdict.began);
  }
  EXPECT_TRUE(
      judge({.end = nullptr, .was_running = true, .has_limit = false, .uncounted_retries = 3}, left(finished(), true))
          .exited_with_zero)
      << "its node does not answer";
  AttemptResult unreported;
  unreported.done = true;
  const JobEnd pod = ended(EndedBy::cluster);
  EXPECT_TRUE(
      judge({.end = &pod, .was_running = true, .has_limit = false, .uncounted_retries = 3}, std::move(unreported))
          .exited_with_zero)
      << "only the report was lost";
}

TEST(Judge, SucceededPodWithoutAResultFailed) {
  JobEnd pod = ended(EndedBy::task, "");
  pod.succeeded = true;
  const Verdict verdict = judge({.end = &pod, .was_running = true, .has_limit = false, .uncounted_retries = 3}, {});
  EXPECT_FALSE(verdict.exited_with_zero);
  EXPECT_EQ(verdict.cause, "The container exited with 0, but wrote no result to the datastore.");
}

TEST(Judge, PodExplainsWhatKilledSupervisorAndTask) {
  store::ExitReport stopped{.stage = store::Stage::step, .signal = 15, .stopped_by = 15, .cause = "SIGTERM"};
  const JobEnd evicted = ended(EndedBy::cluster, "evicted");
  EXPECT_EQ(
      judge({.end = &evicted, .was_running = true, .has_limit = false, .uncounted_retries = 3}, left(stopped)).cause,
      "evicted");
  const JobEnd memory = ended(EndedBy::memory, "out of memory");
  EXPECT_EQ(judge({.end = &memory, .was_running = true, .has_limit = false, .uncounted_retries = 3}, {}).cause,
            "out of memory");
  // A step that failed by itself, and whose pod was evicted while it ended.
  store::ExitReport failed{.stage = store::Stage::step, .exited = true, .exit_code = 3, .cause = "status 3"};
  EXPECT_EQ(
      judge({.end = &evicted, .was_running = true, .has_limit = false, .uncounted_retries = 3}, left(failed)).cause,
      "status 3");
}

TEST(Judge, ProcessesKilledForMemoryAreReported) {
  const JobEnd failed = ended(EndedBy::task);
  store::ExitReport threw{
      .stage = store::Stage::step, .committed = true, .exited = true, .exit_code = 1, .oom_kills = 1};
  const JobFacts job{.end = &failed, .was_running = true, .has_limit = false, .uncounted_retries = 3};
  EXPECT_TRUE(judge(job, left(threw)).lost_processes);
  threw.oom_kills = 0;
  EXPECT_FALSE(judge(job, left(threw)).lost_processes);
}

TEST(Judge, LostNodeIsNotCounted) {
  JobEnd reclaimed = ended(EndedBy::cluster, "reclaimed");
  reclaimed.lost = true;
  const store::ExitReport stopped{.stage = store::Stage::step, .signal = 15, .stopped_by = 15, .cause = "SIGTERM"};
  EXPECT_EQ(judge({.end = &reclaimed, .was_running = true, .has_limit = false, .uncounted_retries = 3}, left(stopped))
                .uncounted,
            3);
  EXPECT_EQ(judge({.end = &reclaimed, .was_running = true, .has_limit = false, .uncounted_retries = 3}, {}).uncounted,
            3);
  const store::ExitReport failed{.stage = store::Stage::step, .exited = true, .exit_code = 3, .cause = "status 3"};
  EXPECT_EQ(judge({.end = &reclaimed, .was_running = true, .has_limit = false, .uncounted_retries = 3}, left(failed))
                .uncounted,
            0)
      << "it had failed by itself";
  EXPECT_EQ(judge({.end = &reclaimed, .was_running = true, .has_limit = false, .uncounted_retries = 3},
                  left(finished(), true))
                .uncounted,
            0);
  const JobEnd killed = ended(EndedBy::cluster, "externally");
  EXPECT_EQ(judge({.end = &killed, .was_running = true, .has_limit = false, .uncounted_retries = 3}, {}).uncounted, 0);
}

TEST(Judge, PlatformWithoutAReasonIsNotTheCause) {
  store::ExitReport killed{.stage = store::Stage::step, .signal = 9, .cause = "Task was killed by SIGKILL."};
  const JobEnd silent = ended(EndedBy::cluster, "");
  EXPECT_EQ(
      judge({.end = &silent, .was_running = true, .has_limit = false, .uncounted_retries = 3}, left(killed)).cause,
      "Task was killed by SIGKILL.");
  EXPECT_EQ(judge({.end = &silent, .was_running = true, .has_limit = false, .uncounted_retries = 3}, {}).cause,
            "The platform terminated the job (no reason given).");
}

TEST(Judge, TimedOut) {
  const JobEnd pod = ended(EndedBy::deadline);
  EXPECT_TRUE(judge({.end = &pod, .was_running = true, .has_limit = true, .uncounted_retries = 3}, {}).timed_out);
  EXPECT_FALSE(
      judge({.end = &pod, .was_running = true, .has_limit = true, .uncounted_retries = 3}, {}).timeout_reported)
      << "the cluster ended it";
  EXPECT_FALSE(judge({.end = &pod, .was_running = true, .has_limit = false, .uncounted_retries = 3}, {}).timed_out)
      << "the step has no timeout: this is the limit of every pod";
}

TEST(Judge, EndBeforeTheTaskIsNotAnAttempt) {
  const JobEnd bootstrap = ended(EndedBy::bootstrap);
  EXPECT_FALSE(judge({.end = &bootstrap, .was_running = true, .has_limit = false, .uncounted_retries = 3}, {}).began);
  EXPECT_TRUE(judge({.end = &bootstrap, .was_running = true, .has_limit = false, .uncounted_retries = 3}, {}).hopeless);
  const JobEnd lost = ended(EndedBy::cluster);
  EXPECT_FALSE(judge({.end = &lost, .was_running = false, .has_limit = false, .uncounted_retries = 3}, {}).began);
  EXPECT_TRUE(judge({.end = &lost, .was_running = true, .has_limit = false, .uncounted_retries = 3}, {}).began);
  EXPECT_FALSE(judge({.end = &lost, .was_running = true, .has_limit = false, .uncounted_retries = 3},
                     left({.stage = store::Stage::bootstrap, .cause = "no store"}))
                   .began);
}

TEST(Judge, UnreadableResultIsReported) {
  const JobEnd pod = ended(EndedBy::task);
  AttemptResult unread;
  unread.failure = "no connection";
  const Verdict verdict =
      judge({.end = &pod, .was_running = true, .has_limit = false, .uncounted_retries = 3}, std::move(unread));
  EXPECT_EQ(verdict.cause, "Cannot read how the task ended: no connection");
  EXPECT_FALSE(verdict.exited_with_zero);
}

}  // namespace
}  // namespace metaflow::compute
