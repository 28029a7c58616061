// What the backend of this host does beyond the contract of every backend (backend_test.cc).
#include "compute/local/local_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <sstream>

#include "base/cpus.h"
#include "base/failure_points.h"
#include "base/files.h"
#include "base/testing.h"
#include "compute/testing.h"

namespace metaflow::compute {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::uint64_t kMegabyte = 1'000'000;

/// Attempts run a shell, whatever the step; the script is in SCRIPT.
class LocalBackendTest : public testing::Test {
 protected:
  explicit LocalBackendTest(std::map<std::string, Request> requests = {})
      : backend_(loop_, events_, {"/bin/sh", "-c", "eval \"$SCRIPT\""}, {"PATH=/usr/bin:/bin"}, std::move(requests)) {}

  void submit(AttemptId id, const std::string& step, const std::string& script) {
    Attempt made{.id = id, .step = {}, .environment = {"SCRIPT=" + script}};
    made.step.step = step;
    made.step.run = "7";
    made.step.task = std::to_string(id);
    backend_.submit(made);
  }
  const Verdict& wait(AttemptId id) {
    while (!events_.finished.contains(id)) loop_.run_once();
    return events_.verdicts[id];
  }
  std::string out(AttemptId id) { return events_.output[{id, store::Stream::out}]; }

  base::SystemClock clock_;
  base::EventLoop loop_{clock_};
  RecordingEvents events_;
  LocalBackend backend_;
};

class LocalBackendWithRequests : public LocalBackendTest {
 protected:
  LocalBackendWithRequests()
      : LocalBackendTest({{"wide", {.cpus = static_cast<double>(base::available_cpus())}},
                          {"bounded", {.memory = 50 * kMegabyte, .enforce = true}}}) {}
};

TEST_F(LocalBackendWithRequests, StepThatRequestsTheWholeHostWaitsForIt) {
  EXPECT_TRUE(backend_.has_room("wide"));
  submit(1, "wide", "sleep 1000");
  EXPECT_FALSE(backend_.has_room("wide"));
  EXPECT_TRUE(backend_.has_room("other")) << "it has no request";
  const AttemptId ids[] = {1};
  backend_.stop(ids, Stop::force);
  wait(1);
  EXPECT_TRUE(backend_.has_room("wide"));
}

TEST_F(LocalBackendWithRequests, EveryEndReleasesResources) {
  for (const char* script : {"exit 0", "exit 1", "kill -9 $$"}) {
    const auto id = static_cast<AttemptId>(events_.finished.size() + 1);
    submit(id, "wide", script);
    wait(id);
    EXPECT_TRUE(backend_.has_room("wide")) << script;
  }
}

TEST_F(LocalBackendWithRequests, MemoryLimitIsEnforced) {
  if (!base::MemoryGroup::make("metaflow-test", kMegabyte)) GTEST_SKIP() << "memory cannot be limited here";
  submit(1, "bounded",
         R"(echo 0 >"$METAFLOW_MEMORY_GROUP"; exec awk 'BEGIN { s = "x"; while (length(s) < 2e8) s = s s; exit 3 }')");
  EXPECT_FALSE(wait(1).exited_with_zero);
  EXPECT_THAT(events_.verdicts[1].cause, HasSubstr("Task ran out of memory: limit 50.0 MB"));
}

TEST_F(LocalBackendTest, StartIsReportedWithTheProcessId) {
  submit(1, "work", "echo $$");
  wait(1);
  EXPECT_EQ(events_.lines.front() + "\n", "1 started pid " + out(1));
}

TEST_F(LocalBackendTest, AttemptsBlockWhileOutputIsHeld) {
  backend_.hold_output(true);
  submit(1, "work", "echo before; dd if=/dev/zero bs=1000000 count=1 2>/dev/null | tr '\\0' x; echo behind >&2");
  loop_.poll();
  EXPECT_EQ(out(1), "");
  backend_.hold_output(false);
  wait(1);
  EXPECT_EQ(out(1).size(), 1'000'007U);
  EXPECT_EQ((events_.output[{1, store::Stream::err}]), "behind\n");
}

TEST_F(LocalBackendTest, OpenPipesOfGrandchildrenAreNotWaitedFor) {
  submit(1, "work", "sleep 1000 & echo said");
  EXPECT_TRUE(wait(1).exited_with_zero);
  EXPECT_EQ(out(1), "said\n");
  backend_.end(Stop::ask);
}

TEST_F(LocalBackendTest, OrphansOfAFailedAttemptAreKilled) {
  submit(1, "work", "sleep 1000 & echo $!; exit 3");
  EXPECT_FALSE(wait(1).exited_with_zero);
  const auto left = static_cast<pid_t>(std::stoi(out(1)));
  backend_.end(Stop::ask);
  EXPECT_EQ(base::process_start_time(left), 0U);
}

/// Runs a program that has a fork server.
TEST(LocalBackendWithForkServer, FirstAttemptsAreExecutedAndOthersForked) {
  if (!base::ForkServer::is_possible()) GTEST_SKIP() << "not under a sanitizer";
  base::SystemClock clock;
  base::EventLoop loop(clock);
  RecordingEvents events;
  std::vector<std::string> environment = base::own_environment();
  base::set_variable(environment, "GTEST_ALSO_RUN_DISABLED_TESTS=1");
  base::set_variable(environment, "GTEST_FILTER=ForkServer.DISABLED_Child");  // it prints how often it received --quiet
  LocalBackend backend(loop, events, {base::own_executable()}, environment, {});
  for (AttemptId id = 1; id <= 6; ++id) {
    Attempt attempt;
    attempt.id = id;
    attempt.step.step = "work";
    attempt.step.run = "7";
    attempt.step.task = std::to_string(id);
    backend.submit(attempt);
    while (!events.finished.contains(id)) loop.run_once();
    EXPECT_TRUE(events.verdicts[id].exited_with_zero);
  }
  EXPECT_THAT((events.output[{1, store::Stream::err}]), HasSubstr("quiet 1\n"));
  EXPECT_THAT((events.output[{6, store::Stream::err}]), HasSubstr("quiet 9\n"));
  backend.end(Stop::ask);
}

/// A clock that also passes by itself.
class AdvancedClock : public base::SystemClock {
 public:
  std::int64_t monotonic_microseconds() override { return base::SystemClock::monotonic_microseconds() + ahead; }
  std::int64_t ahead = 0;
};

/// A server of another program that hangs while it loads, or ends.
TEST(LocalBackendWithForkServer, AttemptsAreExecutedIfTheServerIsNeverReady) {
  for (const std::string server : {"exec sleep 1000", "exit 1"}) {
    AdvancedClock clock;
    base::EventLoop loop(clock);
    RecordingEvents events;
    const std::string script = "[ \"$1\" != fork-server ] || " + server + "; echo executed";
    LocalBackend backend(loop, events, {"/bin/sh", "-c", script, "sh"}, {"PATH=/usr/bin:/bin"}, {}, true);
    for (AttemptId id = 1; id <= 2; ++id) {
      Attempt attempt;
      attempt.id = id;
      attempt.step.step = "work";
      backend.submit(attempt);
      EXPECT_TRUE(events.output.empty()) << "it waits for the server";
      clock.ahead = 60'000'000;
      while (!events.finished.contains(id)) loop.run_once();
      EXPECT_EQ((events.output[{id, store::Stream::out}]), "executed\n") << server;
      events.output.clear();
    }
  }
}

// --- no room for another process

class LocalBackendWithoutRoom : public LocalBackendTest {
 protected:
  ~LocalBackendWithoutRoom() override { base::set_failure_point(""); }
};

TEST_F(LocalBackendWithoutRoom, AttemptStartsWhenAnotherHasEnded) {
  AttemptId id = 1;
  for (const char* lack : {"start:EAGAIN:1", "start:EMFILE:1"}) {
    submit(id, "work", "exit 0");
    base::set_failure_point(lack);
    submit(id + 1, "work", "exit 0");
    EXPECT_FALSE(backend_.has_room("work")) << "one waits already";
    EXPECT_TRUE(wait(id + 1).exited_with_zero) << lack;
    EXPECT_EQ(events_.finished[id], 1);
    EXPECT_TRUE(backend_.has_room("work"));
    id += 2;
  }
}

TEST_F(LocalBackendWithoutRoom, LimitIsNamedIfNothingRuns) {
  base::set_failure_point("start:EAGAIN:1:sticky");
  submit(1, "work", "exit 0");
  EXPECT_THAT(events_.finished, testing::IsEmpty()) << "nothing ends within a call";
  const Verdict& verdict = wait(1);
  EXPECT_THAT(verdict.cause, AllOf(HasSubstr("ulimit -u"), HasSubstr("pids.max"), HasSubstr("--max-workers")));
  EXPECT_FALSE(verdict.exited_with_zero || verdict.exited);
}

TEST_F(LocalBackendWithoutRoom, WaitingAttemptsFailWhenNothingRuns) {
  submit(1, "work", "exit 0");
  base::set_failure_point("start:EAGAIN:1:sticky");
  submit(2, "work", "exit 0");
  submit(3, "work", "exit 0");
  EXPECT_TRUE(wait(1).exited_with_zero);
  EXPECT_THAT(wait(2).cause, HasSubstr("ulimit -u"));
  EXPECT_THAT(wait(3).cause, HasSubstr("ulimit -u"));
}

TEST_F(LocalBackendWithoutRoom, WaitingAttemptIsStopped) {
  submit(1, "work", "sleep 1000");
  base::set_failure_point("start:EAGAIN:1:sticky");
  submit(2, "work", "exit 0");
  const AttemptId ids[] = {2};
  backend_.stop(ids, Stop::ask);
  EXPECT_THAT(events_.finished, testing::IsEmpty()) << "nothing ends within a call";
  EXPECT_THAT(wait(2).cause, HasSubstr("stopped before"));
  EXPECT_EQ(events_.finished[2], 1);
}

// --- Ctrl-Z

/// Returns the state letter of proc(5).
char state_of(pid_t pid) {
  const auto stat = base::read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat->text()[stat->text().rfind(')') + 2];
}

TEST_F(LocalBackendTest, WholeGroupsAreSuspendedAndResumed) {
  // One of them ignores SIGTSTP.
  submit(1, "work", "trap '' TSTP; sleep 1000 & echo $$ $!; wait");
  while (out(1).find('\n') == std::string::npos) loop_.run_once();
  std::istringstream pids(out(1));
  pid_t shell = 0;
  pid_t child = 0;
  pids >> shell >> child;
  backend_.suspend();
  for (const pid_t pid : {shell, child}) {
    while (state_of(pid) != 'T') ::sched_yield();
  }
  backend_.proceed();
  for (const pid_t pid : {shell, child}) {
    while (state_of(pid) == 'T') ::sched_yield();
  }
}

}  // namespace
}  // namespace metaflow::compute
