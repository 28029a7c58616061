#include "compute/remote/remote_attempts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/package/bootstrap.h"
#include "compute/remote/attempts_testing.h"
#include "compute/remote/store_log.h"

namespace metaflow::compute {
namespace {

using Phase = JobState::Phase;
using store::Stream;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// --- from queue to verdict

TEST_F(RemoteAttemptsTest, AnAttemptThatEndsWell) {
  submit(1);
  told().on_state(1, {.phase = Phase::waiting});
  told().on_state(1, {.phase = Phase::running, .where = "Pod is running on node n."});
  told().on_log(1, Stream::out, "hello\n");
  wait(Notices::kGather);
  commit(1);
  end(1, succeeded());
  EXPECT_EQ(events_.finished[1], 0) << "its log may have an end";
  told().on_log(1, Stream::out, "goodbye\n");
  told().on_log_end(1, true);
  settle();
  EXPECT_THAT(events_.take(), ElementsAre("1 started job j1", "1 out hello\n", "1 notice Pod is running on node n.",
                                          "1 out goodbye\n", "1 finished successfully"));
  EXPECT_TRUE(events_.verdicts[1].committed);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "follow 1", "forget 1"));
}

TEST_F(RemoteAttemptsTest, ALogThatDoesNotEndIsNotWaitedForLong) {
  run(1);
  commit(1);
  end(1, succeeded());
  wait(RemoteAttempts::kLogEnd - 1);
  EXPECT_EQ(events_.finished[1], 0);
  wait(1);
  EXPECT_EQ(events_.finished[1], 1);
  EXPECT_TRUE(jobs_->log_stopped[1]);
}

TEST_F(RemoteAttemptsTest, ALogThatBreaksOffIsSaid) {
  run(1);
  told().on_log_end(1, false);
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(), Contains(HasSubstr("The live log broke off.")));
  commit(1);
  end(1, succeeded());
  EXPECT_EQ(events_.finished[1], 1) << "nothing is left to wait for";
}

TEST_F(RemoteAttemptsTest, WithoutALogOfThePlatformThatOfTheStoreIsShown) {
  jobs_->has_logs = false;
  run(1);
  write_log(1, "one");
  wait(StoreLog::kFirstLook);
  EXPECT_EQ((events_.output[{1, Stream::out}]), "one\n");
  write_log(1, "one\ntwo");
  commit(1);
  end(1, succeeded());
  EXPECT_EQ((events_.output[{1, Stream::out}]), "one\ntwo\n") << "the rest, once";
  EXPECT_EQ(events_.finished[1], 1);
}

TEST_F(RemoteAttemptsTest, SoManyLogsAtATime) {
  for (const AttemptId id : {1, 2, 3}) run(id);
  EXPECT_THAT(jobs_->take(), testing::Not(Contains("follow 3")));
  write_log(3, "not followed");
  for (const AttemptId id : {1, 2, 3}) {
    commit(id);
    told().on_log_end(id, true);
    end(id, succeeded());
  }
  EXPECT_EQ((events_.output[{3, Stream::out}]), "not followed\n");
  run(4);
  EXPECT_THAT(jobs_->take(), Contains("follow 4"));
}

TEST_F(RemoteAttemptsTest, WhatThePlatformKeptIsShownIfTheSupervisorStoredNothing) {
  jobs_->kept_log = {"sh: not found\n"};
  jobs_->kept_log_failure = "and more was not to be had";
  submit(1);
  end(1, failed(EndedBy::task, 3, "Task ended with exit status 3."));
  EXPECT_EQ((events_.output[{1, Stream::err}]), "sh: not found\n");
  EXPECT_EQ(cause(1), "Task ended with exit status 3.");
}

TEST_F(RemoteAttemptsTest, ALogThatThePlatformDoesNotEndToGiveIsGivenUp) {
  jobs_->kept_log_ends = false;
  submit(1);
  end(1, failed(EndedBy::task, 3, "Task ended with exit status 3."));
  EXPECT_TRUE(events_.verdicts.empty());
  wait(RemoteAttempts::kKeptLog);
  EXPECT_EQ(cause(1), "Task ended with exit status 3.");
}

TEST_F(RemoteAttemptsTest, AStoreThatCannotBeReadIsTheCause) {
  run(1);
  storage_->is_away = true;
  told().on_log_end(1, true);
  end(1, succeeded());
  EXPECT_EQ(cause(1), "How the task ended could not be read: no connection");
}

TEST_F(RemoteAttemptsTest, TheTimeOfAStepIsUp) {
  attempts_->submit(attempt(1, 60'000'000));
  told().on_job(1, "j1");
  end(1, failed(EndedBy::deadline, 137, "took longer than it may"));
  EXPECT_TRUE(events_.verdicts[1].timed_out);
}

// --- waiting

TEST_F(RemoteAttemptsTest, WhatItWaitsForIsTold) {
  submit(1);
  told().on_state(1, {.trouble = "no room", .notice = "Pod is pending: no room"});
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(), Contains("1 notice Pod is pending: no room"));
  told().on_state(1, {.phase = Phase::waiting});
  wait(2 * Notices::kRepeatEvery);
  EXPECT_THAT(events_.take(), IsEmpty()) << "it waits for nothing any more";
}

TEST_F(RemoteAttemptsTest, PatienceEndsWithWhatOnlyPeopleCanCure) {
  submit(1);
  told().on_state(1, {.trouble = "bad image", .notice = "bad image", .hopeless = true});
  wait(RemoteOptions().patience - 1);
  told().on_state(1, {.trouble = "worse image", .notice = "worse image", .hopeless = true});
  jobs_->take();
  wait(1);
  EXPECT_THAT(jobs_->take(), ElementsAre("observe 1"));
  jobs_->observing.at(1)({.trouble = "no such image", .hopeless = true});
  EXPECT_EQ(cause(1), "The pod cannot start, and was given up after 10 min 0 s: no such image");
  EXPECT_TRUE(events_.verdicts[1].hopeless);
  EXPECT_THAT(jobs_->take(), ElementsAre("remove 1", "forget 1"));
}

TEST_F(RemoteAttemptsTest, PatienceBeginsAnewWhenItWasCured) {
  submit(1);
  told().on_state(1, {.trouble = "bad", .notice = "bad", .hopeless = true});
  wait(RemoteOptions().patience - 1);
  told().on_state(1, {.trouble = "no room", .notice = "no room"});
  wait(RemoteOptions().patience);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1"));
  told().on_state(1, {.trouble = "bad", .notice = "bad", .hopeless = true});
  wait(RemoteOptions().patience);
  EXPECT_THAT(jobs_->take(), ElementsAre("observe 1"));
  jobs_->observing.at(1)({.phase = Phase::waiting});
  EXPECT_EQ(events_.finished[1], 0) << "what it is at now counts";
}

TEST_F(RemoteAttemptsTest, ThatItRunsEndsTheQuestion) {
  submit(1);
  told().on_state(1, {.trouble = "bad", .notice = "bad", .hopeless = true});
  wait(RemoteOptions().patience);
  told().on_state(1, {.phase = Phase::running, .where = "Pod is running."});
  jobs_->observing.at(1)({.trouble = "bad", .hopeless = true});
  EXPECT_EQ(events_.finished[1], 0);
}

TEST_F(RemoteAttemptsTest, AServiceThatDoesNotAnswerIsSaidOfAllThatItConcerns) {
  for (const AttemptId id : {1, 2}) submit(id);
  const AttemptId concerned[] = {1, 2, 99};
  told().on_trouble(concerned, "The cluster is tried again: no route");
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(), AllOf(Contains("1 notice The cluster is tried again: no route"),
                                    Contains("2 notice The cluster is tried again: no route")));
}

// --- a machine that does not answer

TEST_F(RemoteAttemptsTest, OfASilentMachineTheStoreTells) {
  run(1);
  told().on_state(1,
                  {.phase = Phase::running, .trouble = "Node n does not answer", .notice = "Node n does not answer"});
  settle();
  wait(RemoteAttempts::kLookEvery);
  EXPECT_EQ(events_.finished[1], 0) << "nothing is there yet";
  commit(1);
  wait(RemoteAttempts::kLookEvery);
  EXPECT_EQ(events_.finished[1], 1);
  EXPECT_TRUE(events_.verdicts[1].exited_with_zero);
  EXPECT_THAT(jobs_->take(), Contains("remove 1"));
}

TEST_F(RemoteAttemptsTest, AMachineThatAnswersAgainIsWaitedFor) {
  run(1);
  told().on_state(1, {.phase = Phase::running, .trouble = "silent", .notice = "silent"});
  told().on_state(1, {.phase = Phase::running});
  commit(1);
  wait(2 * RemoteAttempts::kLookEvery);
  EXPECT_EQ(events_.finished[1], 1) << "a look that was under way counts";
}

// --- tries that do not count

TEST_F(RemoteAttemptsTest, WhatFailedBeforeTheTaskBeganIsSubmittedAgain) {
  submit(1);
  end(1, failed(EndedBy::cluster, -1, "evicted"));
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(), Contains("1 notice evicted The task had not begun; it is submitted again."));
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "forget 1"));
  wait(RemoteAttempts::kBetweenTries);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1 try 1"));
  told().on_job(1, "again");
  end(1, failed(EndedBy::bootstrap, kPackageMissing, "not fetched"));
  wait(RemoteAttempts::kBetweenTries);
  EXPECT_THAT(jobs_->take(), ElementsAre("forget 1", "submit 1 try 2 new link"));
  told().on_job(1, "third");
  end(1, failed(EndedBy::cluster, -1, "evicted"));
  EXPECT_EQ(events_.finished[1], 1) << "the third is the last";
  EXPECT_THAT(events_.take(), AllOf(Contains("1 started job again"), Contains("1 started job third")));
}

TEST_F(RemoteAttemptsTest, AnImageThatIsUnfitIsNotTriedAgain) {
  submit(1);
  end(1, failed(EndedBy::bootstrap, kImageUnfit, "no shell"));
  EXPECT_EQ(events_.finished[1], 1);
  EXPECT_TRUE(events_.verdicts[1].hopeless);
}

TEST_F(RemoteAttemptsTest, WhatSomebodyEndedIsNotSubmittedAgain) {
  submit(1);
  JobEnd end_of_job = failed(EndedBy::cluster, -1, "killed with `kill`");
  end_of_job.meant = true;
  end(1, end_of_job);
  EXPECT_EQ(cause(1), "killed with `kill`");
}

TEST_F(RemoteAttemptsTest, WhatIsLostWithItsMachineIsNoRetry) {
  run(1);
  told().on_log_end(1, true);
  JobEnd lost = failed(EndedBy::cluster, 137, "preempted");
  lost.lost = true;
  end(1, lost);
  EXPECT_EQ(events_.verdicts[1].uncounted, 2);
}

// --- no job

TEST_F(RemoteAttemptsTest, AJobThatCannotBeMade) {
  attempts_->submit(attempt(1));
  told().on_no_job(1, "Unable to launch: forbidden", true);
  EXPECT_EQ(cause(1), "Unable to launch: forbidden");
  EXPECT_TRUE(events_.verdicts[1].hopeless);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "forget 1"));
}

TEST_F(RemoteAttemptsTest, WhatIsToldTwiceOrTooLateIsIgnored) {
  run(1);
  told().on_job(1, "another name");
  told().on_log_end(1, true);
  commit(1);
  end(1, succeeded());
  events_.take();
  told().on_job(1, "j1");
  told().on_state(1, {.phase = Phase::running});
  told().on_log(1, Stream::out, "late");
  told().on_log_end(1, true);
  told().on_removed(1, true);
  told().on_no_job(1, "late", false);
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(), IsEmpty());
}

}  // namespace
}  // namespace metaflow::compute
