#include "base/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace metaflow::base {
namespace {

using testing::ElementsAre;

TEST(Process, AVariableIsSetOnce) {
  std::vector<std::string> environment{"A=1", "AB=2", "B="};
  set_variable(environment, "A=new");
  EXPECT_THAT(environment, ElementsAre("A=new", "AB=2", "B="));
  set_variable(environment, "B=x=y");
  set_variable(environment, "C=");
  EXPECT_THAT(environment, ElementsAre("A=new", "AB=2", "B=x=y", "C="));
}

TEST(Process, AProcessIsNamedByItsIdAndItsBegin) {
  const std::uint64_t own = start_of_process(::getpid());
  EXPECT_GT(own, 0U);
  EXPECT_EQ(start_of_process(::getpid()), own);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(start_of_process(child), 0U) << "a zombie";
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(start_of_process(child), 0U);
}

TEST(Process, WhatCannotBeSeenHasNotEnded) {
  const std::uint64_t own = start_of_process(::getpid());
  EXPECT_EQ(state_of_process(::getpid(), own), ProcessState::lives);
  EXPECT_EQ(state_of_process(::getpid(), own + 1), ProcessState::ended) << "another one of the same id";
  EXPECT_EQ(state_of_process(::getpid(), own, "/nonexistent"), ProcessState::unknown) << "as with hidepid=2";
  EXPECT_EQ(state_of_process(::getpid(), 0), ProcessState::unknown);
  EXPECT_EQ(state_of_process(0, own), ProcessState::unknown) << "no process, but a group of them";
  EXPECT_EQ(state_of_process(-1, own), ProcessState::unknown);
  const pid_t child = ::fork();
  if (child == 0) ::pause();
  const std::uint64_t began = start_of_process(child);
  ::kill(child, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(state_of_process(child, began), ProcessState::ended) << "a zombie";
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(state_of_process(child, began, "/nonexistent"), ProcessState::ended);
}

TEST(Process, OnlyProcessesWithAllTheVariablesAreKilled) {
  const std::string mark = "METAFLOW_PROCESS_TEST=" + std::to_string(::getpid());
  auto start = [&](const std::string& other) { return start_process({"/bin/sleep"}, {"1000"}, {mark, other}); };
  const Child a = start("KIND=a");
  const Child b = start("KIND=b");
  EXPECT_EQ(kill_processes_with({mark, "KIND=a"}), 1U);
  int status = 0;
  ::waitpid(a.pid, &status, 0);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_EQ(::waitpid(b.pid, &status, WNOHANG), 0) << "the other one lives";
  EXPECT_EQ(kill_processes_with({mark}), 1U);
  ::waitpid(b.pid, &status, 0);
}

}  // namespace
}  // namespace metaflow::base
