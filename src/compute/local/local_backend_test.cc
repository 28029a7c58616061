// What the backend of this machine does besides what every one promises (backend_test.cc).
#include "compute/local/local_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/cpus.h"
#include "base/testing.h"
#include "compute/testing.h"

namespace metaflow::compute {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMegabyte = 1'000'000;

/// Attempts are a shell's, whatever the step; the text is in SCRIPT.
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

TEST_F(LocalBackendWithRequests, AStepThatNeedsTheWholeMachineWaitsForIt) {
  EXPECT_TRUE(backend_.has_room("wide"));
  submit(1, "wide", "sleep 1000");
  EXPECT_FALSE(backend_.has_room("wide"));
  EXPECT_TRUE(backend_.has_room("other")) << "it asks for nothing";
  const AttemptId ids[] = {1};
  backend_.stop(ids, Stop::force);
  wait(1);
  EXPECT_TRUE(backend_.has_room("wide"));
}

TEST_F(LocalBackendWithRequests, RoomIsGivenBackByWhatEndsInAnyWay) {
  for (const char* script : {"exit 0", "exit 1", "kill -9 $$"}) {
    const auto id = static_cast<AttemptId>(events_.finished.size() + 1);
    submit(id, "wide", script);
    wait(id);
    EXPECT_TRUE(backend_.has_room("wide")) << script;
  }
}

TEST_F(LocalBackendWithRequests, MoreMemoryThanItMayHave) {
  if (!base::MemoryGroup::make("metaflow-test", kMegabyte)) GTEST_SKIP() << "memory cannot be limited here";
  submit(1, "bounded",
         R"(echo 0 >"$METAFLOW_MEMORY_GROUP"; exec awk 'BEGIN { s = "x"; while (length(s) < 2e8) s = s s; exit 3 }')");
  EXPECT_FALSE(wait(1).exited_well);
  EXPECT_THAT(events_.verdicts[1].cause, HasSubstr("Task ran out of memory: it may have 50.0 MB"));
}

TEST_F(LocalBackendTest, ItsPlaceIsAProcessId) {
  submit(1, "work", "echo $$");
  wait(1);
  EXPECT_EQ(events_.lines.front() + "\n", "1 started pid " + out(1));
}

TEST_F(LocalBackendTest, WhileOutputIsHeldAttemptsBlock) {
  backend_.hold_output(true);
  submit(1, "work", "echo before; dd if=/dev/zero bs=1000000 count=1 2>/dev/null | tr '\\0' x; echo behind >&2");
  loop_.poll();
  EXPECT_EQ(out(1), "");
  backend_.hold_output(false);
  wait(1);
  EXPECT_EQ(out(1).size(), 1'000'007U);
  EXPECT_EQ((events_.output[{1, store::Stream::err}]), "behind\n");
}

TEST_F(LocalBackendTest, WhoKeepsThePipesOpenIsNotWaitedFor) {
  submit(1, "work", "sleep 1000 & echo said");
  EXPECT_TRUE(wait(1).exited_well);
  EXPECT_EQ(out(1), "said\n");
  backend_.end(Stop::ask);
}

TEST_F(LocalBackendTest, WhatAFailedAttemptLeftBehindIsKilledWithIt) {
  submit(1, "work", "sleep 1000 & echo $!; exit 3");
  EXPECT_FALSE(wait(1).exited_well);
  const auto left = static_cast<pid_t>(std::stoi(out(1)));
  backend_.end(Stop::ask);
  EXPECT_EQ(base::start_of_process(left), 0U);
}

}  // namespace
}  // namespace metaflow::compute
