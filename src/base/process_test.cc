#include "base/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/format.h"

namespace metaflow::base {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Process, AVariableIsSetOnce) {
  std::vector<std::string> environment{"A=1", "AB=2", "B="};
  set_variable(environment, "A=new");
  EXPECT_THAT(environment, ElementsAre("A=new", "AB=2", "B="));
  set_variable(environment, "B=x=y");
  set_variable(environment, "C=");
  EXPECT_THAT(environment, ElementsAre("A=new", "AB=2", "B=x=y", "C="));
}

TEST(Process, AProcessIsIdentifiedByItsIdAndStartTime) {
  const std::uint64_t own = process_start_time(::getpid());
  EXPECT_GT(own, 0U);
  EXPECT_EQ(process_start_time(::getpid()), own);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(process_start_time(child), 0U) << "a zombie";
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(process_start_time(child), 0U);
}

TEST(Process, AnInvisibleProcessIsUnknown) {
  const std::uint64_t own = process_start_time(::getpid());
  EXPECT_EQ(state_of_process(::getpid(), own), ProcessState::lives);
  EXPECT_EQ(state_of_process(::getpid(), own + 1), ProcessState::ended) << "another process with the same id";
  EXPECT_EQ(state_of_process(::getpid(), own, "/nonexistent"), ProcessState::unknown) << "as with hidepid=2";
  EXPECT_EQ(state_of_process(::getpid(), 0), ProcessState::unknown);
  EXPECT_EQ(state_of_process(0, own), ProcessState::unknown) << "0 means a process group";
  EXPECT_EQ(state_of_process(-1, own), ProcessState::unknown);
  const pid_t child = ::fork();
  if (child == 0) ::pause();
  const std::uint64_t began = process_start_time(child);
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
  EXPECT_EQ(::waitpid(b.pid, &status, WNOHANG), 0) << "the other process is alive";
  EXPECT_EQ(kill_processes_with({mark}), 1U);
  ::waitpid(b.pid, &status, 0);
}

TEST(Process, TooLongArgumentsAreNamed) {
  const std::string long_text(200'000, 'x');
  try {
    start_process({"/bin/true"}, {}, {"A=1", "LONG=" + long_text});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("the environment variable LONG has 200005 bytes"));
    EXPECT_THAT(error.message(), HasSubstr("131071"));
  }
  try {
    start_process({"/bin/true"}, std::vector<std::string>(100, std::string(120'000, 'x')), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("have 120001"));
    EXPECT_THAT(error.message(), HasSubstr("bytes together"));
  }
}

TEST(Process, ATemporaryShortageIsNoRoom) {
  for (const char* lack : {"start:EAGAIN", "start:EMFILE"}) {
    set_failure_point(lack);
    const auto started = try_start_process({"/bin/true"}, {}, {});
    ASSERT_TRUE(std::holds_alternative<NoRoom>(started));
    EXPECT_THAT(std::get<NoRoom>(started).error.hint(), HasSubstr("--max-workers"));
  }
  set_failure_point("");
  EXPECT_THROW(try_start_process({"/no/such/program"}, {}, {}), Error);
}

int exit_code_of(const Child& child) {
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  return reap(child.pid)->exit_code;
}

TEST(Process, AReplacedProgramStartsItsOriginalFile) {
  constexpr const char* kInCopy = "METAFLOW_TEST_REPLACED";
  if (std::getenv(kInCopy) != nullptr) {
    const std::string path = own_executable();
    std::filesystem::remove(path);
    std::filesystem::copy_file("/bin/false", path);
    EXPECT_EQ(exit_code_of(start_process({path}, {"--gtest_list_tests", "--gtest_filter=Process.*"}, {})), 0);
    EXPECT_EQ(read_file(own_image())->size(), std::strtoull(std::getenv(kInCopy), nullptr, 10));
    return;
  }
  std::string directory = testing::TempDir() + "process_XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string copy = directory + "/program";
  std::filesystem::copy_file(own_executable(), copy);
  std::vector<std::string> environment = own_environment();
  set_variable(environment, fmt::format("{}={}", kInCopy, std::filesystem::file_size(copy)));
  const std::string self = testing::UnitTest::GetInstance()->current_test_info()->name();
  EXPECT_EQ(exit_code_of(start_process({copy}, {"--gtest_filter=Process." + self}, environment)), 0);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace metaflow::base
