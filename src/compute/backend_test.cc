// The contract of every Backend. The steps are test/programs/scripted_task.
//
// Tests the backends of `local` and of the tests' own platform. If METAFLOW_TEST_PLATFORM names a service, that is
// tested instead; its settings and METAFLOW_TEST_S3 locate it (test/e2e/remote.py).
#include "compute/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <numeric>

#include <metaflow/error.h>

#include "base/memory_group.h"
#include "base/settings.h"
#include "base/testing.h"
#include "base/text.h"
#include "compute/backend_testing.h"
#include "compute/testing.h"
#include "platforms/platforms.h"
#include "platforms/process/runner.h"
#include "store/open.h"

namespace metaflow::compute {
namespace {

using store::Stream;
using testing::AllOf;
using testing::AnyOf;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr AttemptId kUnknown = 4711;
constexpr std::size_t kLine = 50;  // bytes that `fill` prints

std::string fresh_directory() {
  std::string name = testing::TempDir() + "backend_XXXXXX";
  return ::mkdtemp(name.data());
}

class BackendTest : public testing::TestWithParam<std::string> {
 protected:
  BackendTest() : directory_(fresh_directory()) {}

  ~BackendTest() override {
    backend_.reset();
    plan_.reset();
    runner_.reset();
    std::filesystem::remove_all(directory_);
    ::unsetenv("METAFLOW_PROCESS_SPOOL");
  }

  /// Whether the platform is a service outside this test, with a store and limits of its own.
  bool is_service() const { return GetParam() != "local" && GetParam() != "process"; }

  void SetUp() override {
    if (is_service()) {
      step_.datastore = "s3";
      step_.datastore_root = std::getenv("METAFLOW_TEST_S3") + directory_;
    } else {
      step_.datastore_root = directory_ + "/.metaflow";
    }
    if (GetParam() == "process") {
      ::setenv("METAFLOW_PROCESS_SPOOL", (directory_ + "/spool").c_str(), 1);
      runner_.emplace(loop_, clock_, directory_ + "/spool");
    }
    make({METAFLOW_TEST_PROGRAMS "/scripted_task"});
  }

  /// `command`: the words that start the flow, unless the platform knows them itself.
  void make(std::vector<std::string> command) {
    backend_.reset();
    decorators_.clear();  // without a decorator, a step is executed here
    if (GetParam() != "local") decorators_.push_back(platforms_.decorators().parse(GetParam()));
    settings_.emplace();
    site_.emplace(RunSite{.settings = *settings_,
                          .clock = clock_,
                          .flow = "Scripted",
                          .program = "scripted_task",
                          .user = "tester",
                          .datastore = step_.datastore});
    store_ = open_store(step_);
    greedy_ = decorators_;
    if (GetParam() == "local") {
      for (const char* decorator : {"resources:memory=50", "local:enforce=true"})
        greedy_.push_back(platforms_.decorators().parse(decorator));
    }
    plan_ = platforms_.of_step("work", decorators_).plan(*site_, {{"work", &decorators_}, {"greedy", &greedy_}});
    plan_->prepare();
    backend_ = plan_->make_backend({.loop = loop_,
                                    .clock = clock_,
                                    .events = events_,
                                    .store = *store_,
                                    .open_store = [step = step_] { return open_store(step); },
                                    .run = "7",
                                    .command = std::move(command),
                                    .task_environment = base::own_environment()});
  }
  static std::unique_ptr<store::FlowStore> open_store(const StepArguments& step) {
    return std::make_unique<store::FlowStore>(store::open_storage(step.datastore, step.datastore_root), "Scripted");
  }

  Attempt attempt(AttemptId id, const std::string& script) const {
    Attempt made{.id = id, .step = step_, .environment = {"SCRIPT=" + script}};
    made.step.run = "7";
    made.step.step = "work";
    made.step.task = std::to_string(id);
    made.step.inputs = {{"7", "start", "1"}};
    made.step.split_index = id;
    return made;
  }
  void submit(AttemptId id, const std::string& script) { backend_->submit(attempt(id, script)); }
  void stop(AttemptId id, Stop how) { backend_->stop(std::span(&id, 1), how); }
  /// Submits an attempt that connects to the gate, and waits for its connection.
  void submit_to_gate(AttemptId id, const std::string& before, const std::string& behind) {
    const std::size_t came = gate_.connections();
    submit(id, before + ";attach " + gate_.port() + ";" + behind);
    run_until([&] { return gate_.connections() > came; });
  }

  void run_until(const std::function<bool()>& holds) {
    bool late = false;
    const base::EventLoop::Timer timer = loop_.after(kPatience, [&] { late = true; });
    while (!holds() && !late) loop_.run_once();
    loop_.cancel(timer);
    ASSERT_FALSE(late) << testing::PrintToString(events_.lines);
  }
  const Verdict& wait(AttemptId id) {
    run_until([&] { return events_.finished.contains(id); });
    return events_.verdicts[id];
  }
  const Verdict& verdict_of_script(const std::string& script) {
    submit(1, script);
    return wait(1);
  }
  /// Runs what is due, and what follows from it.
  void settle() {
    for (int i = 0; i < 20; ++i) loop_.poll();
  }
  std::string output(AttemptId id, Stream stream) { return events_.output[{id, stream}]; }

  static constexpr std::int64_t kPatience = 120'000'000;

  std::string directory_;
  LeapingClock clock_;
  base::EventLoop loop_{clock_};
  TestGate gate_{loop_};
  std::optional<process_platform::Runner> runner_;
  const Platforms& platforms_ = platforms_of_tests();
  std::vector<graph::Decorator> decorators_;  // of the step `work`
  std::vector<graph::Decorator> greedy_;      // of the step `greedy`, which takes more memory than it may have
  std::optional<base::Settings> settings_;
  std::optional<RunSite> site_;
  StepArguments step_;
  RecordingEvents events_;
  std::unique_ptr<store::FlowStore> store_;
  std::unique_ptr<PlatformPlan> plan_;
  std::unique_ptr<Backend> backend_;
};

std::vector<std::string> names_of_platforms() {
  const char* service = std::getenv("METAFLOW_TEST_PLATFORM");
  return {service == nullptr ? std::vector<std::string>{"local", "process"} : std::vector<std::string>{service}};
}

INSTANTIATE_TEST_SUITE_P(All, BackendTest, testing::ValuesIn(names_of_platforms()),
                         [](const auto& name) { return name.param; });

// --- from submit to the verdict

TEST_P(BackendTest, AttemptStartsPrintsAndEndsOnce) {
  submit(1, "out hello;err oops");
  EXPECT_THAT(events_.finished, IsEmpty()) << "nothing ends within a call";
  const Verdict verdict = wait(1);
  EXPECT_TRUE(verdict.exited_with_zero) << verdict.cause;
  EXPECT_THAT(events_.lines.front(), testing::StartsWith("1 started "));
  EXPECT_EQ(events_.lines.back(), "1 finished successfully");
  EXPECT_THAT(output(1, Stream::out) + output(1, Stream::err), AnyOf("hello\noops\n", "oops\nhello\n"));
}

TEST_P(BackendTest, NoEventsAfterTheEnd) {
  submit(1, "out hello");
  wait(1);
  events_.take();
  stop(1, Stop::ask);
  stop(1, Stop::force);
  settle();
  backend_->end(Stop::ask);
  settle();
  EXPECT_THAT(events_.take(), IsEmpty());
}

TEST_P(BackendTest, ResultIsReadOrLeftToBeRead) {
  const Verdict& well = verdict_of_script("");
  if (well.data_read) {
    ASSERT_NE(well.data, nullptr);
    EXPECT_TRUE(well.data->ok);
  }
  EXPECT_TRUE(store_->read_attempt({"7", "work", "1"}, 0));
  EXPECT_EQ(well.committed, store_->is_done({"7", "work", "1"}, 0));
  submit(2, "exit 3");
  EXPECT_EQ(wait(2).data, nullptr);
  EXPECT_FALSE(store_->is_done({"7", "work", "2"}, 0));
}

TEST_P(BackendTest, LastValueOfAVariableWins) {
  Attempt made = attempt(1, "print COLOUR");
  made.environment.insert(made.environment.end(), {"COLOUR=red", "COLOUR=green, blue=$HOME %41 \"x\""});
  backend_->submit(made);
  EXPECT_TRUE(wait(1).exited_with_zero);
  EXPECT_EQ(output(1, Stream::out), "green, blue=$HOME %41 \"x\"\n");
}

TEST_P(BackendTest, FailedStartIsReported) {
  if (is_service()) GTEST_SKIP() << "images have tests of their own";
  make({directory_ + "/nothing"});
  submit(1, "");
  EXPECT_THAT(events_.finished, IsEmpty()) << "nothing ends within a call";
  const Verdict& verdict = wait(1);
  EXPECT_FALSE(verdict.exited_with_zero || verdict.exited || verdict.timed_out);
  EXPECT_FALSE(verdict.cause.empty());
  settle();
  EXPECT_EQ(events_.finished[1], 1);
}

// --- verdicts

TEST_P(BackendTest, ExitCode) {
  const Verdict& verdict = verdict_of_script("exit 3");
  EXPECT_TRUE(verdict.exited);
  EXPECT_FALSE(verdict.exited_with_zero || verdict.timed_out || verdict.hopeless);
  EXPECT_TRUE(verdict.began);
  EXPECT_THAT(verdict.cause, HasSubstr("exited with code 3"));
}

TEST_P(BackendTest, Signal) {
  const Verdict& verdict = verdict_of_script("raise " + std::to_string(SIGUSR1));
  EXPECT_FALSE(verdict.exited || verdict.exited_with_zero || verdict.timed_out);
  EXPECT_THAT(verdict.cause, HasSubstr("SIGUSR1"));
}

TEST_P(BackendTest, StepEndsItselfAtItsTimeout) {
  const Verdict& verdict = verdict_of_script("time-up");
  EXPECT_FALSE(verdict.exited_with_zero);
  EXPECT_TRUE(verdict.timed_out);
  EXPECT_TRUE(verdict.timeout_reported);
  EXPECT_FALSE(verdict.killed_late);
}

TEST_P(BackendTest, StepThatIgnoresItsTimeoutIsKilled) {
  if (is_service()) GTEST_SKIP() << "the service ends it, after a minute at least";
  Attempt made = attempt(1, "attach " + gate_.port() + ";hold");
  made.time_limit = 3'600'000'000;
  backend_->submit(made);
  run_until([&] { return gate_.connections() == 1; });
  clock_.leap(made.time_limit - 1'000'000);
  settle();
  EXPECT_THAT(events_.finished, IsEmpty()) << "its grace period has not ended";
  clock_.leap(60'000'000);
  const Verdict& verdict = wait(1);
  EXPECT_FALSE(verdict.exited_with_zero);
  EXPECT_TRUE(verdict.timed_out);
}

TEST_P(BackendTest, OutOfMemory) {
  if (GetParam() == "process") GTEST_SKIP() << "it does not limit memory";
  if (GetParam() == "local" && !base::MemoryGroup::make("metaflow-test", 1'000'000))
    GTEST_SKIP() << "memory cannot be limited here";
  Attempt made = attempt(1, is_service() ? "hold" : "take 200");  // a service simulates lack of memory
  made.step.step = "greedy";
  backend_->submit(made);
  const Verdict& verdict = wait(1);
  EXPECT_FALSE(verdict.exited_with_zero || verdict.timed_out);
  EXPECT_THAT(verdict.cause, HasSubstr("ran out of memory"));
}

TEST_P(BackendTest, UsageIsKnown) { EXPECT_GT(verdict_of_script("take 20").usage.peak_memory, 20'000'000U); }

// --- output

TEST_P(BackendTest, AllOutputIsReportedBeforeTheEnd) {
  constexpr std::size_t kLines = 20'000;  // a megabyte: more than pipes and buffers hold
  EXPECT_TRUE(verdict_of_script("fill " + std::to_string(kLines)).exited_with_zero);
  EXPECT_EQ(events_.lines.back(), "1 finished successfully");
  EXPECT_EQ(output(1, Stream::out).size() + output(1, Stream::err).size(), 2 * kLines * kLine);
}

TEST_P(BackendTest, HeldOutputIsNotLost) {
  backend_->hold_output(true);
  submit(1, "fill 4000;attach " + gate_.port());
  settle();
  backend_->hold_output(false);
  EXPECT_TRUE(wait(1).exited_with_zero);
  EXPECT_EQ(output(1, Stream::out).size() + output(1, Stream::err).size(), 2 * 4000 * kLine);
}

// --- several

TEST_P(BackendTest, ManyAttemptsFinishOnceEach) {
  std::vector<AttemptId> all(24);
  std::iota(all.begin(), all.end(), 1);
  for (const AttemptId id : all) submit(id, id % 3 == 0 ? "exit 5" : "");
  for (const AttemptId id : all) {
    EXPECT_EQ(wait(id).exited_with_zero, id % 3 != 0) << id << ": " << events_.verdicts[id].cause;
  }
  settle();
  EXPECT_THAT(events_.finished, AllOf(SizeIs(all.size()), Each(Pair(testing::_, 1))));
}

TEST_P(BackendTest, StepsWithoutRequestsHaveRoom) {
  for (const AttemptId id : {1, 2, 3}) {
    EXPECT_TRUE(backend_->has_room("work"));
    submit(id, "");
  }
  for (const AttemptId id : {1, 2, 3}) wait(id);
}

// --- stopping

TEST_P(BackendTest, AttemptStopsWhenAsked) {
  submit_to_gate(1, "", "hold");
  stop(1, Stop::ask);
  const Verdict& verdict = wait(1);
  EXPECT_FALSE(verdict.exited_with_zero || verdict.exited);
  EXPECT_FALSE(verdict.cause.empty());
  EXPECT_EQ(events_.finished[1], 1);
}

TEST_P(BackendTest, AttemptThatIgnoresStopIsForced) {
  submit_to_gate(1, "ignore " + std::to_string(SIGTERM), "hold");
  stop(1, Stop::ask);
  settle();
  EXPECT_THAT(events_.finished, IsEmpty());
  stop(1, Stop::force);
  EXPECT_FALSE(wait(1).exited_with_zero);
}

TEST_P(BackendTest, StopBeforeTheStart) {
  for (const AttemptId id : {1, 2, 3, 4, 5}) submit(id, "hold");
  const AttemptId all[] = {1, 2, 3, 4, 5};
  backend_->stop(all, Stop::ask);
  for (const AttemptId id : all) EXPECT_FALSE(wait(id).exited_with_zero);
  settle();
  EXPECT_THAT(events_.finished, AllOf(SizeIs(5), Each(Pair(testing::_, 1))));
}

TEST_P(BackendTest, UnknownAttemptsAreIgnored) {
  stop(kUnknown, Stop::ask);
  submit(1, "");
  stop(kUnknown, Stop::ask);
  stop(kUnknown, Stop::force);
  EXPECT_TRUE(wait(1).exited_with_zero);
  EXPECT_FALSE(events_.finished.contains(kUnknown));
}

TEST_P(BackendTest, StopLeavesOtherAttemptsRunning) {
  submit_to_gate(1, "", "hold");
  submit(2, "gate " + gate_.port());
  run_until([&] { return gate_.connections() == 2; });
  stop(1, Stop::ask);
  EXPECT_FALSE(wait(1).exited_with_zero);
  EXPECT_FALSE(events_.finished.contains(2));
  gate_.release();
  EXPECT_TRUE(wait(2).exited_with_zero);
}

// --- the end of a run

TEST_P(BackendTest, EndKillsOrphans) {
  submit(1, "leave " + gate_.port());
  EXPECT_TRUE(wait(1).exited_with_zero);
  backend_->end(Stop::ask);
  run_until([&] { return gate_.connections() == gate_.closed(); });
}

TEST_P(BackendTest, EndKillsRunningAttemptsWithoutReportingThem) {
  submit_to_gate(1, "", "hold");
  events_.take();
  backend_->end(Stop::ask);
  run_until([&] { return gate_.closed() == 1; });
  settle();
  EXPECT_FALSE(events_.finished.contains(1) && is_service());
}

TEST_P(BackendTest, EndWithoutAttempts) { backend_->end(Stop::ask); }

}  // namespace
}  // namespace metaflow::compute
