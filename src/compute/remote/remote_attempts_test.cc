#include "compute/remote/remote_attempts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/testing.h"
#include "base/text.h"
#include "compute/package/bootstrap.h"
#include "compute/remote/store_log.h"
#include "compute/remote/testing.h"
#include "compute/testing.h"
#include "store/memory/memory_storage.h"
#include "store/mflog.h"

namespace metaflow::compute {
namespace {

using Phase = JobState::Phase;
using store::LogSource;
using store::Stream;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A store that cannot be read while a test says so.
class FragileStorage : public store::MemoryStorage {
 public:
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override {
    if (is_away) throw Error(ErrorCode::data_store, "no connection");
    return MemoryStorage::get(paths);
  }
  bool is_away = false;
};

class RemoteAttemptsTest : public testing::Test {
 protected:
  RemoteAttemptsTest() { make({.unit = "pod", .uncounted_retries = 2, .followed = 2, .readers = 0}); }

  void make(const RemoteOptions& options) {
    attempts_.reset();
    attempts_.emplace(
        loop_, clock_, events_, [this] { return std::make_unique<store::FlowStore>(storage_, "F"); }, options,
        [this](JobEvents& events) {
          auto jobs = std::make_unique<ScriptedJobs>(events);
          jobs_ = jobs.get();
          return jobs;
        });
  }
  JobEvents& told() { return jobs_->events; }

  static Attempt attempt(AttemptId id, std::int64_t time_limit = 0) {
    Attempt made{.id = id, .step = {}, .environment = {}, .time_limit = time_limit};
    made.step.run = "7";
    made.step.step = "work";
    made.step.task = std::to_string(id);
    return made;
  }
  static store::TaskRef task(AttemptId id) { return {"7", "work", std::to_string(id)}; }
  void submit(AttemptId id) {
    attempts_->submit(attempt(id));
    told().on_job(id, "j" + std::to_string(id));
    settle();
  }
  void run(AttemptId id) {
    submit(id);
    told().on_state(id, {.phase = Phase::running, .where = "Pod is running."});
    settle();
  }
  void end(AttemptId id, JobEnd end) {
    told().on_state(id, {.phase = Phase::ended, .end = std::move(end)});
    settle();
  }
  static JobEnd succeeded() { return {.succeeded = true, .exit_code = 0}; }
  static JobEnd failed(EndedBy by, int status, const char* cause) {
    return {.by = by, .exit_code = status, .cause = cause};
  }

  /// What a supervisor stores of an attempt that ended well.
  void commit(AttemptId id) {
    store_.write_exit_report(task(id), 0,
                             {.stage = store::Stage::commit, .committed = true, .exited = true, .exit_code = 0});
    store_.mark_done(task(id), 0);
  }
  /// `lines`: apart by line breaks.
  void write_log(AttemptId id, const std::string& lines) {
    std::string log;
    std::int64_t stamp = clock_.now;
    for (const std::string& line : base::split(lines, '\n')) log += store::format_log_line(stamp++, "task", line);
    const auto bytes = base::as_bytes(log);
    store_.write_log(task(id), 0, LogSource::task, Stream::out, store::Pieces(&bytes, 1));
  }
  /// All that is due now, and what follows from it.
  void settle() {
    for (int i = 0; i < 5; ++i) loop_.poll();
  }
  void wait(std::int64_t microseconds) {
    clock_.now += microseconds;
    settle();
  }
  std::string cause(AttemptId id) { return events_.verdicts.at(id).cause; }

  base::FakeClock clock_;
  base::EventLoop loop_{clock_};
  std::shared_ptr<FragileStorage> storage_ = std::make_shared<FragileStorage>();
  store::FlowStore store_{storage_, "F"};
  RecordingEvents events_;
  ScriptedJobs* jobs_ = nullptr;
  std::optional<RemoteAttempts> attempts_;
};

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
                                          "1 out goodbye\n", "1 finished well"));
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
  EXPECT_TRUE(events_.verdicts[1].exited_well);
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

// --- stopping

TEST_F(RemoteAttemptsTest, StoppedBeforeThereIsAJob) {
  attempts_->submit(attempt(1));
  const AttemptId ids[] = {1, 99};
  attempts_->stop(ids, Stop::ask);
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "remove 1"));
  told().on_removed(1, true);
  settle();
  EXPECT_EQ(cause(1), "Task was stopped before it began.");
}

TEST_F(RemoteAttemptsTest, StoppedWhileItsCreationIsUnanswered) {
  attempts_->submit(attempt(1));
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  told().on_no_job(1, "the answer was lost", false);
  EXPECT_EQ(cause(1), "Task was stopped before it began.");
}

TEST_F(RemoteAttemptsTest, StoppedItHasTimeToEnd) {
  run(1);
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  told().on_removed(1, false);
  settle();
  EXPECT_EQ(events_.finished[1], 0);
  store_.write_exit_report(task(1), 0,
                           {.stage = store::Stage::step, .signal = 15, .stopped_by = 15, .cause = "SIGTERM"});
  end(1, failed(EndedBy::task, 143, "killed"));
  EXPECT_EQ(cause(1), "SIGTERM");
}

TEST_F(RemoteAttemptsTest, ForcedItIsOverWhenTheRemovalWasAnswered) {
  run(1);
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  attempts_->stop(ids, Stop::force);
  EXPECT_EQ(events_.finished[1], 0);
  told().on_removed(1, false);
  settle();
  EXPECT_EQ(cause(1), "Task was stopped.");
  EXPECT_THAT(jobs_->take(), ElementsAre("submit 1", "follow 1", "remove 1", "forget 1"));
}

TEST_F(RemoteAttemptsTest, ForcedAfterTheRemovalWasAnswered) {
  run(1);
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  told().on_removed(1, false);
  attempts_->stop(ids, Stop::force);
  settle();
  EXPECT_EQ(events_.finished[1], 1);
}

TEST_F(RemoteAttemptsTest, WhatWasCommittedWhileItWasStoppedIsDone) {
  run(1);
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  commit(1);
  end(1, failed(EndedBy::cluster, 137, "deleted"));
  EXPECT_TRUE(events_.verdicts[1].exited_well);
}

TEST_F(RemoteAttemptsTest, StoppedBetweenTwoTries) {
  submit(1);
  end(1, failed(EndedBy::cluster, -1, "evicted"));
  jobs_->take();
  const AttemptId ids[] = {1};
  attempts_->stop(ids, Stop::ask);
  settle();
  EXPECT_EQ(cause(1), "Task was stopped before it began.");
  wait(RemoteAttempts::kBetweenTries);
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
  EXPECT_TRUE(events_.verdicts[1].exited_well);
}

// --- the end of a run

TEST_F(RemoteAttemptsTest, TheFarewellRemovesWhatIsLeftAndTellsNothing) {
  run(1);
  submit(2);
  events_.take();
  jobs_->take();
  attempts_->end();
  EXPECT_THAT(jobs_->take(), ElementsAre("remove 1 2", "end"));
  end(1, succeeded());
  told().on_removed(2, true);
  settle();
  EXPECT_THAT(events_.take(), IsEmpty());
}

TEST_F(RemoteAttemptsTest, TheFarewellHasAnEnd) {
  run(1);
  jobs_->ends = false;
  jobs_->on_end = [this] { clock_.now += RemoteAttempts::kFarewell; };
  attempts_->end();
  SUCCEED() << "a platform that does not answer is not waited for";
}

// --- in any order

/// What a platform may tell, and a user do, at any time: each attempt is told as finished once, and nothing after that.
class AnyOrder : public RemoteAttemptsTest {
 protected:
  void something(std::mt19937& random, AttemptId id) {
    const AttemptId ids[] = {id};
    switch (random() % 16) {
      case 0: return told().on_job(id, "j");
      case 1: return told().on_state(id, {.phase = Phase::waiting});
      case 2: return told().on_state(id, {.trouble = "x", .notice = "x", .hopeless = random() % 2 == 0});
      case 3: return told().on_state(id, {.phase = Phase::running, .where = "runs"});
      case 4: return told().on_state(id, {.phase = Phase::running, .trouble = "silent", .notice = "silent"});
      case 5: return told().on_state(id, {.phase = Phase::ended, .end = succeeded()});
      case 6: return told().on_state(id, {.phase = Phase::ended, .end = failed(EndedBy::cluster, -1, "evicted")});
      case 7:
        return told().on_state(id, {.phase = Phase::ended, .end = failed(EndedBy::bootstrap, kPackageMissing, "")});
      case 8: return told().on_removed(id, random() % 4 == 0);
      case 9: return told().on_log(id, Stream::out, "line\n");
      case 10: return told().on_log_end(id, random() % 2 == 0);
      case 11: return attempts_->stop(ids, random() % 2 == 0 ? Stop::ask : Stop::force);
      case 12: return commit(id);
      case 13: storage_->is_away = random() % 4 == 0; return;
      case 14:
        if (const auto told = jobs_->observing.extract(id))
          told.mapped()({.trouble = "x", .hopeless = random() % 2 == 0});
        return;
      default: return wait(static_cast<std::int64_t>(random() % 20'000'000));
    }
  }
};

TEST_F(AnyOrder, EachAttemptFinishesOnce) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
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
    // In the end, a user has enough, and the platform answers.
    storage_->is_away = false;
    std::vector<AttemptId> all;
    for (AttemptId id = 1; id <= kAttempts; ++id) all.push_back(id);
    attempts_->stop(all, Stop::ask);
    attempts_->stop(all, Stop::force);
    for (const AttemptId id : all) told().on_removed(id, false);
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
