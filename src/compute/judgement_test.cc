#include "compute/judgement.h"

#include <gtest/gtest.h>

namespace metaflow::compute {
namespace {

Leftover left(store::ExitReport report, bool done = false) {
  Leftover left;
  left.report = std::move(report);
  left.done = done;
  return left;
}

store::ExitReport finished() {
  return {.stage = store::Stage::commit, .committed = true, .exited = true, .exit_code = 0};
}

Ending ended(EndedBy by, const char* cause = "the pod's cause") { return {.by = by, .exit_code = 1, .cause = cause}; }

TEST(Judgement, WhatWasCommittedIsDoneWhateverBecameOfThePod) {
  for (const EndedBy by : {EndedBy::cluster, EndedBy::deadline, EndedBy::memory, EndedBy::task}) {
    const Ending pod = ended(by);
    const Judgement judgement = judge(&pod, left(finished(), true), true, false);
    EXPECT_TRUE(judgement.verdict.exited_well && judgement.verdict.committed && judgement.began);
  }
  EXPECT_TRUE(judge(nullptr, left(finished(), true), true, false).verdict.exited_well) << "its node does not answer";
  Leftover unreported;
  unreported.done = true;
  const Ending pod = ended(EndedBy::cluster);
  EXPECT_TRUE(judge(&pod, std::move(unreported), true, false).verdict.exited_well) << "the report alone was lost";
}

TEST(Judgement, APodThatEndedWellHasLeftAResult) {
  Ending pod = ended(EndedBy::task, "");
  pod.succeeded = true;
  const Judgement judgement = judge(&pod, {}, true, false);
  EXPECT_FALSE(judgement.verdict.exited_well);
  EXPECT_EQ(judgement.verdict.cause, "The container ended well, but the task has left no result in the datastore.");
}

TEST(Judgement, ThePodKnowsWhatKilledSupervisorAndTask) {
  store::ExitReport stopped{.stage = store::Stage::step, .signal = 15, .stopped_by = 15, .cause = "SIGTERM"};
  const Ending evicted = ended(EndedBy::cluster, "evicted");
  EXPECT_EQ(judge(&evicted, left(stopped), true, false).verdict.cause, "evicted");
  const Ending memory = ended(EndedBy::memory, "out of memory");
  EXPECT_EQ(judge(&memory, {}, true, false).verdict.cause, "out of memory");
  // A step that failed by itself, and whose pod was evicted while it ended.
  store::ExitReport failed{.stage = store::Stage::step, .exited = true, .exit_code = 3, .cause = "status 3"};
  EXPECT_EQ(judge(&evicted, left(failed), true, false).verdict.cause, "status 3");
}

TEST(Judgement, LostIsWhatEndedWithItsMachine) {
  Ending reclaimed = ended(EndedBy::cluster, "reclaimed");
  reclaimed.lost = true;
  const store::ExitReport stopped{.stage = store::Stage::step, .signal = 15, .stopped_by = 15, .cause = "SIGTERM"};
  EXPECT_TRUE(judge(&reclaimed, left(stopped), true, false).lost);
  EXPECT_TRUE(judge(&reclaimed, {}, true, false).lost);
  const store::ExitReport failed{.stage = store::Stage::step, .exited = true, .exit_code = 3, .cause = "status 3"};
  EXPECT_FALSE(judge(&reclaimed, left(failed), true, false).lost) << "it had failed by itself";
  EXPECT_FALSE(judge(&reclaimed, left(finished(), true), true, false).lost);
  const Ending killed = ended(EndedBy::cluster, "by somebody");
  EXPECT_FALSE(judge(&killed, {}, true, false).lost);
}

TEST(Judgement, APlatformThatSaysNothingIsNoCause) {
  store::ExitReport killed{.stage = store::Stage::step, .signal = 9, .cause = "Task was killed by SIGKILL."};
  const Ending silent = ended(EndedBy::cluster, "");
  EXPECT_EQ(judge(&silent, left(killed), true, false).verdict.cause, "Task was killed by SIGKILL.");
  EXPECT_EQ(judge(&silent, {}, true, false).verdict.cause, "The platform ended the job, and says no reason.");
}

TEST(Judgement, TimeIsUp) {
  const Ending pod = ended(EndedBy::deadline);
  EXPECT_TRUE(judge(&pod, {}, true, true).verdict.timed_out);
  EXPECT_FALSE(judge(&pod, {}, true, true).verdict.told) << "the cluster ended it";
  EXPECT_FALSE(judge(&pod, {}, true, false).verdict.timed_out) << "the step has no timeout: that of every pod";
}

TEST(Judgement, WhatHadNotBegunIsNoAttempt) {
  const Ending bootstrap = ended(EndedBy::bootstrap);
  EXPECT_FALSE(judge(&bootstrap, {}, true, false).began);
  EXPECT_TRUE(judge(&bootstrap, {}, true, false).verdict.hopeless);
  const Ending lost = ended(EndedBy::cluster);
  EXPECT_FALSE(judge(&lost, {}, false, false).began);
  EXPECT_TRUE(judge(&lost, {}, true, false).began);
  EXPECT_FALSE(judge(&lost, left({.stage = store::Stage::bootstrap, .cause = "no store"}), true, false).began);
}

TEST(Judgement, WhatCannotBeReadIsSaid) {
  const Ending pod = ended(EndedBy::task);
  Leftover unread;
  unread.failure = "no connection";
  const Judgement judgement = judge(&pod, std::move(unread), true, false);
  EXPECT_EQ(judgement.verdict.cause, "How the task ended could not be read: no connection");
  EXPECT_FALSE(judgement.verdict.exited_well);
}

}  // namespace
}  // namespace metaflow::compute
