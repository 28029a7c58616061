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

TEST_F(RemoteAttemptsTest, SuccessfulAttempt) {
  submit(1);
  job_events().on_state(1, {.phase = Phase::waiting});
  job_events().on_state(1, {.phase = Phase::running, .where = "Pod is running on node n."});
  job_events().on_log(1, Stream::out, "hello\n");
  wait(Notices::kGather);
  commit(1);
  end(1, succeeded());
  EXPECT_EQ(events_.finished[1], 0) << "its log has not ended";
  job_events().on_log(1, Stream::out, "goodbye\n");
  job_events().on_log_end(1, true);
  settle();
  EXPECT_THAT(events_.take(), ElementsAre("1 started job j1", "1 out hello\n", "1 notice Pod is running on node n.",
                                          "1 out goodbye\n", "1 finished successfully"));
  EXPECT_TRUE(events_.verdicts[1].committed);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "follow 1", "forget 1"));
}

TEST_F(RemoteAttemptsTest, EndOfALogIsNotWaitedForLong) {
  run(1);
  commit(1);
  end(1, succeeded());
  wait(RemoteAttempts::kLogEnd - 1);
  EXPECT_EQ(events_.finished[1], 0);
  wait(1);
  EXPECT_EQ(events_.finished[1], 1);
  EXPECT_TRUE(jobs_->log_stopped[1]);
}

TEST_F(RemoteAttemptsTest, BrokenLogIsReported) {
  run(1);
  job_events().on_log_end(1, false);
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(), Contains(HasSubstr("The live log broke off.")));
  commit(1);
  end(1, succeeded());
  EXPECT_EQ(events_.finished[1], 1) << "nothing is left to wait for";
}

TEST_F(RemoteAttemptsTest, StoredLogIsShownIfThePlatformHasNone) {
  jobs_->has_logs = false;
  run(1);
  write_log(1, "one");
  wait(StoreLog::kFirstPoll);
  EXPECT_EQ((events_.output[{1, Stream::out}]), "one\n");
  write_log(1, "one\ntwo");
  commit(1);
  end(1, succeeded());
  EXPECT_EQ((events_.output[{1, Stream::out}]), "one\ntwo\n") << "the rest, once";
  EXPECT_EQ(events_.finished[1], 1);
}

TEST_F(RemoteAttemptsTest, NumberOfLiveLogsIsLimited) {
  for (const AttemptId id : {1, 2, 3}) run(id);
  EXPECT_THAT(jobs_->take(), testing::Not(Contains("follow 3")));
  write_log(3, "not followed");
  for (const AttemptId id : {1, 2, 3}) {
    commit(id);
    job_events().on_log_end(id, true);
    end(id, succeeded());
  }
  EXPECT_EQ((events_.output[{3, Stream::out}]), "not followed\n");
  run(4);
  EXPECT_THAT(jobs_->take(), Contains("follow 4"));
}

TEST_F(RemoteAttemptsTest, KeptLogIsShownIfTheSupervisorStoredNone) {
  jobs_->kept_log = {"sh: not found\n"};
  jobs_->kept_log_failure = "and more was not to be had";
  submit(1);
  end(1, failed(EndedBy::task, 3, "Task exited with code 3."));
  EXPECT_EQ((events_.output[{1, Stream::err}]), "sh: not found\n");
  EXPECT_EQ(cause(1), "Task exited with code 3.");
}

TEST_F(RemoteAttemptsTest, ReadingAKeptLogTimesOut) {
  jobs_->kept_log_ends = false;
  submit(1);
  end(1, failed(EndedBy::task, 3, "Task exited with code 3."));
  EXPECT_TRUE(events_.verdicts.empty());
  wait(RemoteAttempts::kKeptLog);
  EXPECT_EQ(cause(1), "Task exited with code 3.");
}

TEST_F(RemoteAttemptsTest, UnreadableStoreIsTheCause) {
  run(1);
  storage_->is_away = true;
  job_events().on_log_end(1, true);
  end(1, succeeded());
  EXPECT_EQ(cause(1), "Cannot read how the task ended: no connection");
}

TEST_F(RemoteAttemptsTest, StepTimesOut) {
  attempts_->submit(attempt(1, 60'000'000));
  job_events().on_job(1, "j1");
  end(1, failed(EndedBy::deadline, 137, "timed out"));
  EXPECT_TRUE(events_.verdicts[1].timed_out);
}

// --- waiting

TEST_F(RemoteAttemptsTest, WaitingIsReported) {
  submit(1);
  job_events().on_state(1, {.trouble = "no room", .notice = "Pod is pending: no room"});
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(), Contains("1 notice Pod is pending: no room"));
  job_events().on_state(1, {.phase = Phase::waiting});
  wait(2 * Notices::kRepeatEvery);
  EXPECT_THAT(events_.take(), IsEmpty()) << "it no longer waits";
}

TEST_F(RemoteAttemptsTest, HopelessJobIsAbandonedAfterPatience) {
  submit(1);
  job_events().on_state(1, {.trouble = "bad image", .notice = "bad image", .hopeless = true});
  wait(RemoteOptions().patience - 1);
  job_events().on_state(1, {.trouble = "worse image", .notice = "worse image", .hopeless = true});
  jobs_->take();
  wait(1);
  EXPECT_THAT(jobs_->take(), ElementsAre("observe 1"));
  jobs_->observing.at(1)({.trouble = "no such image", .hopeless = true});
  EXPECT_EQ(cause(1), "The pod could not start within 10 min 0 s: no such image");
  EXPECT_TRUE(events_.verdicts[1].hopeless);
  EXPECT_THAT(jobs_->take(), ElementsAre("remove 1", "forget 1"));
}

TEST_F(RemoteAttemptsTest, PatienceStartsAnewAfterAFix) {
  submit(1);
  job_events().on_state(1, {.trouble = "bad", .notice = "bad", .hopeless = true});
  wait(RemoteOptions().patience - 1);
  job_events().on_state(1, {.trouble = "no room", .notice = "no room"});
  wait(RemoteOptions().patience);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1"));
  job_events().on_state(1, {.trouble = "bad", .notice = "bad", .hopeless = true});
  wait(RemoteOptions().patience);
  EXPECT_THAT(jobs_->take(), ElementsAre("observe 1"));
  jobs_->observing.at(1)({.phase = Phase::waiting});
  EXPECT_EQ(events_.finished[1], 0) << "only the present state counts";
}

TEST_F(RemoteAttemptsTest, RunningJobIsNotAbandoned) {
  submit(1);
  job_events().on_state(1, {.trouble = "bad", .notice = "bad", .hopeless = true});
  wait(RemoteOptions().patience);
  job_events().on_state(1, {.phase = Phase::running, .where = "Pod is running."});
  jobs_->observing.at(1)({.trouble = "bad", .hopeless = true});
  EXPECT_EQ(events_.finished[1], 0);
}

TEST_F(RemoteAttemptsTest, SilentServiceIsReportedForAllAttempts) {
  for (const AttemptId id : {1, 2}) submit(id);
  const AttemptId concerned[] = {1, 2, 99};
  job_events().on_trouble(concerned, "Retrying the cluster: no route");
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(), AllOf(Contains("1 notice Retrying the cluster: no route"),
                                    Contains("2 notice Retrying the cluster: no route")));
}

// --- a node that does not answer

TEST_F(RemoteAttemptsTest, ResultFromASilentNodeIsReadInTheStore) {
  run(1);
  job_events().on_state(
      1, {.phase = Phase::running, .trouble = "Node n does not answer", .notice = "Node n does not answer"});
  settle();
  wait(RemoteAttempts::kLookEvery);
  EXPECT_EQ(events_.finished[1], 0) << "nothing is there yet";
  commit(1);
  wait(RemoteAttempts::kLookEvery);
  EXPECT_EQ(events_.finished[1], 1);
  EXPECT_TRUE(events_.verdicts[1].exited_with_zero);
  EXPECT_THAT(jobs_->take(), Contains("remove 1"));
}

TEST_F(RemoteAttemptsTest, NodeThatAnswersAgainIsWaitedFor) {
  run(1);
  job_events().on_state(1, {.phase = Phase::running, .trouble = "silent", .notice = "silent"});
  job_events().on_state(1, {.phase = Phase::running});
  commit(1);
  wait(2 * RemoteAttempts::kLookEvery);
  EXPECT_EQ(events_.finished[1], 1) << "a read that was under way counts";
}

// --- tries that are not counted

TEST_F(RemoteAttemptsTest, FailureBeforeTheTaskIsResubmitted) {
  submit(1);
  end(1, failed(EndedBy::cluster, -1, "evicted"));
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(),
              Contains("1 notice evicted The task had not begun. Resubmitting (not counted as a retry)."));
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "forget 1"));
  wait(RemoteAttempts::kResubmitDelay);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1 try 1"));
  job_events().on_job(1, "again");
  end(1, failed(EndedBy::bootstrap, kPackageMissing, "not fetched"));
  wait(RemoteAttempts::kResubmitDelay);
  EXPECT_THAT(jobs_->take(), ElementsAre("forget 1", "submit 1 try 2 new link"));
  job_events().on_job(1, "third");
  end(1, failed(EndedBy::cluster, -1, "evicted"));
  EXPECT_EQ(events_.finished[1], 1) << "the third is the last";
  EXPECT_THAT(events_.take(), AllOf(Contains("1 started job again"), Contains("1 started job third")));
}

TEST_F(RemoteAttemptsTest, UnfitImageIsNotResubmitted) {
  submit(1);
  end(1, failed(EndedBy::bootstrap, kImageUnfit, "no shell"));
  EXPECT_EQ(events_.finished[1], 1);
  EXPECT_TRUE(events_.verdicts[1].hopeless);
}

TEST_F(RemoteAttemptsTest, TerminatedJobIsNotResubmitted) {
  submit(1);
  JobEnd end_of_job = failed(EndedBy::cluster, -1, "killed with `kill`");
  end_of_job.deliberate = true;
  end(1, end_of_job);
  EXPECT_EQ(cause(1), "killed with `kill`");
}

TEST_F(RemoteAttemptsTest, LostNodeIsNotCountedAsARetry) {
  run(1);
  job_events().on_log_end(1, true);
  JobEnd lost = failed(EndedBy::cluster, 137, "preempted");
  lost.lost = true;
  end(1, lost);
  EXPECT_EQ(events_.verdicts[1].uncounted, 2);
}

// --- no job

TEST_F(RemoteAttemptsTest, JobThatCannotBeCreated) {
  attempts_->submit(attempt(1));
  job_events().on_no_job(1, "Unable to launch: forbidden", true);
  EXPECT_EQ(cause(1), "Unable to launch: forbidden");
  EXPECT_TRUE(events_.verdicts[1].hopeless);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "forget 1"));
}

TEST_F(RemoteAttemptsTest, RepeatedAndLateEventsAreIgnored) {
  run(1);
  job_events().on_job(1, "another name");
  job_events().on_log_end(1, true);
  commit(1);
  end(1, succeeded());
  events_.take();
  job_events().on_job(1, "j1");
  job_events().on_state(1, {.phase = Phase::running});
  job_events().on_log(1, Stream::out, "late");
  job_events().on_log_end(1, true);
  job_events().on_removed(1, true);
  job_events().on_no_job(1, "late", false);
  wait(Notices::kGather);
  EXPECT_THAT(events_.take(), IsEmpty());
}

}  // namespace
}  // namespace metaflow::compute
