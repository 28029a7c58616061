// RemoteAttempts when attempts are stopped, at the end of a run, and with events in any order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/seeds.h"
#include "compute/package/bootstrap.h"
#include "compute/remote/attempts_testing.h"

namespace metaflow::compute {
namespace {

using Phase = JobState::Phase;
using store::Stream;
using testing::ElementsAre;
using testing::IsEmpty;

// --- stopping

TEST_F(RemoteAttemptsTest, StoppedBeforeThereIsAJob) {
  attempts_->submit(attempt(1));
  const AttemptId ids[] = {1, 99};
  attempts_->stop(ids, Stop::ask);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "remove 1"));
  job_events().on_removed(1, true);
  settle();
  EXPECT_EQ(cause(1), "Task was stopped before it began.");
}

TEST_F(RemoteAttemptsTest, StoppedWhileItsCreationIsUnanswered) {
  attempts_->submit(attempt(1));
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  job_events().on_no_job(1, "the answer was lost", false);
  EXPECT_EQ(cause(1), "Task was stopped before it began.");
}

TEST_F(RemoteAttemptsTest, StoppedAttemptHasTimeToEnd) {
  run(1);
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  job_events().on_removed(1, false);
  settle();
  EXPECT_EQ(events_.finished[1], 0);
  store_.write_exit_report(task(1), 0,
                           {.stage = store::Stage::step, .signal = 15, .stopped_by = 15, .cause = "SIGTERM"});
  end(1, failed(EndedBy::task, 143, "killed"));
  EXPECT_EQ(cause(1), "SIGTERM");
}

TEST_F(RemoteAttemptsTest, JobsLeftToAnotherSchedulerAreNotRemoved) {
  run(1);
  attempts_->submit(attempt(2));
  jobs_->take();
  attempts_->leave();
  const AttemptId ids[] = {1, 2};
  attempts_->stop(ids, Stop::ask);
  settle();
  EXPECT_EQ(cause(1), "The task was left to the scheduler that took over the run.");
  attempts_->stop(ids, Stop::force);
  attempts_->end(Stop::ask);
  for (const std::string& asked : jobs_->take()) {
    EXPECT_FALSE(asked.starts_with("remove") || asked == "end") << asked;
  }
}

TEST_F(RemoteAttemptsTest, ForcedStopWaitsOnlyForTheAnswer) {
  run(1);
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  attempts_->stop(ids, Stop::force);
  EXPECT_EQ(events_.finished[1], 0);
  job_events().on_removed(1, false);
  settle();
  EXPECT_EQ(cause(1), "Task was stopped.");
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "follow 1", "remove 1", "forget 1"));
}

TEST_F(RemoteAttemptsTest, ForcedStopAfterTheAnswer) {
  run(1);
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  job_events().on_removed(1, false);
  attempts_->stop(ids, Stop::force);
  settle();
  EXPECT_EQ(events_.finished[1], 1);
}

TEST_F(RemoteAttemptsTest, AttemptCommittedDuringTheStopIsDone) {
  run(1);
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  commit(1);
  end(1, failed(EndedBy::cluster, 137, "deleted"));
  EXPECT_TRUE(events_.verdicts[1].exited_with_zero);
}

TEST_F(RemoteAttemptsTest, StoppedBetweenTwoTries) {
  submit(1);
  end(1, failed(EndedBy::cluster, -1, "evicted"));
  jobs_->take();
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  settle();
  EXPECT_EQ(cause(1), "Task was stopped before it began.");
  wait(RemoteAttempts::kResubmitDelay);
  EXPECT_THAT(jobs_->take(), ElementsAre("forget 1")) << "there was no job to remove";
}

TEST_F(RemoteAttemptsTest, StoppedWhileItsLogIsRead) {
  run(1);
  commit(1);
  end(1, succeeded());
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  settle();
  EXPECT_EQ(events_.finished[1], 1) << "the end of the log is not waited for";
  EXPECT_TRUE(events_.verdicts[1].exited_with_zero);
}

// --- the end of a run

TEST_F(RemoteAttemptsTest, EndRemovesJobsWithoutReportingThem) {
  run(1);
  submit(2);
  events_.take();
  jobs_->take();
  attempts_->end(Stop::ask);
  EXPECT_THAT(jobs_->take(), ElementsAre("remove 1 2", "end"));
  end(1, succeeded());
  job_events().on_removed(2, true);
  settle();
  EXPECT_THAT(events_.take(), IsEmpty());
}

TEST_F(RemoteAttemptsTest, EndTimesOut) {
  run(1);
  jobs_->ends = false;
  jobs_->on_end = [this] { clock_.now += RemoteAttempts::kEndTimeout; };
  attempts_->end(Stop::ask);
  SUCCEED() << "a platform that does not answer is not waited for";
}

TEST_F(RemoteAttemptsTest, ForcedEndIsShort) {
  run(1);
  jobs_->ends = false;
  jobs_->on_end = [this] { clock_.now += RemoteAttempts::kForcedEndTimeout; };
  attempts_->end(Stop::force);
  SUCCEED() << "the user does not want to wait";
}

TEST_F(RemoteAttemptsTest, ForcedStopShortensTheEnd) {
  run(1);
  jobs_->ends = false;
  jobs_->on_end = [this] {
    loop_.after(0, [this] {
      attempts_->stop({}, Stop::force);
      clock_.now += RemoteAttempts::kForcedEndTimeout;
    });
  };
  const std::int64_t before = clock_.now;
  attempts_->end(Stop::ask);
  EXPECT_LT(clock_.now - before, RemoteAttempts::kEndTimeout);
}

// --- in any order

/// Random events of a platform and a user: each attempt is reported as finished once, and nothing after that.
class AnyOrder : public RemoteAttemptsTest {
 protected:
  void something(std::mt19937& random, AttemptId id) {
    const AttemptId ids[] = {id};
    switch (random() % 16) {
      case 0: return job_events().on_job(id, "j");
      case 1: return job_events().on_state(id, {.phase = Phase::waiting});
      case 2: return job_events().on_state(id, {.trouble = "x", .notice = "x", .hopeless = random() % 2 == 0});
      case 3: return job_events().on_state(id, {.phase = Phase::running, .where = "runs"});
      case 4: return job_events().on_state(id, {.phase = Phase::running, .trouble = "silent", .notice = "silent"});
      case 5: return job_events().on_state(id, {.phase = Phase::ended, .end = succeeded()});
      case 6: return job_events().on_state(id, {.phase = Phase::ended, .end = failed(EndedBy::cluster, -1, "evicted")});
      case 7:
        return job_events().on_state(id,
                                     {.phase = Phase::ended, .end = failed(EndedBy::bootstrap, kPackageMissing, "")});
      case 8: return job_events().on_removed(id, random() % 4 == 0);
      case 9: return job_events().on_log(id, Stream::out, "line\n");
      case 10: return job_events().on_log_end(id, random() % 2 == 0);
      case 11: return attempts_->stop(ids, random() % 2 == 0 ? Stop::ask : Stop::force);
      case 12: return commit(id);
      case 13: storage_->is_away = random() % 4 == 0; return;
      case 14:
        if (const auto job_events = jobs_->observing.extract(id))
          job_events.mapped()({.trouble = "x", .hopeless = random() % 2 == 0});
        return;
      default: return wait(static_cast<std::int64_t>(random() % 20'000'000));
    }
  }
};

TEST_F(AnyOrder, EachAttemptFinishesOnce) {
  for (unsigned seed = 0; seed < base::seeds(2000); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    storage_ = std::make_shared<FragileStorage>();
    store_ = store::FlowStore(storage_, "F");
    events_ = RecordingEvents();
    make({.uncounted_retries = 1, .followed = 1, .readers = 0});
    jobs_->has_logs = random() % 2 == 0;
    constexpr AttemptId kAttempts = 3;
    for (AttemptId id = 1; id <= kAttempts; ++id) attempts_->submit(attempt(id));
    for (int i = 0; i < 40; ++i) something(random, 1 + random() % kAttempts);
    // In the end, the user stops everything, and the platform answers.
    storage_->is_away = false;
    std::vector<AttemptId> all;
    for (AttemptId id = 1; id <= kAttempts; ++id) all.push_back(id);
    attempts_->stop(all, Stop::ask);
    attempts_->stop(all, Stop::force);
    for (const AttemptId id : all) job_events().on_removed(id, false);
    wait(RemoteAttempts::kLogEnd);
    for (const AttemptId id : all) {
      ASSERT_EQ(events_.finished[id], 1) << "attempt " << id;
      const std::string mark = fmt::format("{} finished", id);
      const auto last = std::find_if(events_.lines.rbegin(), events_.lines.rend(),
                                     [&](const std::string& line) { return line.starts_with(fmt::format("{} ", id)); });
      ASSERT_TRUE(last->starts_with(mark)) << *last;
    }
    ASSERT_THAT(jobs_->known, IsEmpty()) << "the platform may forget all";
  }
}

}  // namespace
}  // namespace metaflow::compute
