#include "base/fork_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <random>

#include "base/failure_points.h"
#include "base/fork_protocol.h"
#include "base/format.h"
#include "base/spawn.h"
#include "base/text.h"

namespace metaflow::base {
namespace {

using testing::HasSubstr;

constexpr const char* kVariable = "METAFLOW_TEST_VARIABLE";

std::string variable() {
  const char* const value = std::getenv(kVariable);
  return value == nullptr ? "none" : value;
}

// What a test process saw in its static constructors.
const unsigned number_at_first = std::random_device{}();
const std::string variable_at_first = variable();

/// Not a test, but the process that the tests start.
TEST(ForkServer, DISABLED_Child) {
  const std::string line(read_file("/proc/self/cmdline")->text());
  const std::string text = line.c_str();
  const auto words = split(line, '\0');
  fmt::print(stderr, "number {}, quiet {}\n", number_at_first, std::count(words.begin(), words.end(), "--quiet"));
  fmt::print(stderr, "program {}\nvariable {} {} of {}\nids {} {} {}\nparent {}\ndescriptors {}\nterminates {}\n", text,
             variable_at_first, variable(), own_environment().size(), ::gettid() == ::getpid(),
             ::getpgrp() == ::getpid(), ::getsid(0), ::getppid(), list_directory("/proc/self/fd").size(),
             !is_ignored(SIGTERM));
  char c = 0;
  fmt::print(stderr, "input {}\n", ::read(STDIN_FILENO, &c, 1));
}

const std::vector<std::string> kArguments{"--gtest_also_run_disabled_tests",
                                          "--gtest_filter=ForkServer.DISABLED_Child"};
constexpr const char* kFiller = "--gtest_brief=1";

std::string read_until_ended(const Child& child) {
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  std::string text(10'000, '\0');
  const ssize_t size = ::read(child.err.get(), text.data(), text.size());
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  const auto end = reap(child.pid);
  EXPECT_TRUE(end && end->signal == 0 && end->exit_code == 0);
  return text;
}

/// The child processes; in tests that start nothing else: the fork servers.
std::vector<pid_t> children() {
  std::vector<pid_t> found;
  for (const std::string& word : split(read_file(fmt::format("/proc/self/task/{}/children", ::gettid()))->text(), ' '))
    if (!word.empty()) found.push_back(std::stoi(word));
  return found;
}

class ForkServerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!ForkServer::is_possible()) GTEST_SKIP() << "not under a sanitizer";
    kill_descendants();
  }
  ~ForkServerTest() override { set_failure_point(""); }

  std::vector<std::string> with(const std::string& value) const {
    std::vector<std::string> environment = environment_;
    set_variable(environment, std::string(kVariable) + "=" + value);
    return environment;
  }
  std::optional<Child> start(ForkServer& server, const std::vector<std::string>& environment) {
    auto started = server.try_start(kArguments, environment);
    return started ? std::optional(std::get<Child>(std::move(*started))) : std::nullopt;
  }

  std::vector<std::string> environment_ = own_environment();
};

TEST(ForkServer, IsPossibleInEveryProgramWithoutASanitizer) {
#ifdef METAFLOW_SANITIZED
  EXPECT_FALSE(ForkServer::is_possible());
#else
  EXPECT_TRUE(ForkServer::is_possible());
#endif
}

TEST_F(ForkServerTest, CopiesStartAsIfExecuted) {
  ForkServer server(kArguments.size() + 2, kFiller, environment_);
  const auto first_line_off = [](const std::string& text) { return text.substr(text.find('\n') + 1); };
  std::string number;
  for (const char* value : {"one", "two", ""}) {
    const std::string executed =
        read_until_ended(std::get<Child>(try_start_process({own_executable()}, kArguments, with(value))));
    const auto child = start(server, with(value));
    ASSERT_TRUE(child);
    const std::string copied = read_until_ended(*child);
    EXPECT_EQ(first_line_off(copied), first_line_off(executed));
    EXPECT_THAT(copied, HasSubstr(fmt::format("variable {0} {0} of", value)));
    EXPECT_THAT(copied, HasSubstr(fmt::format("parent {}\n", ::getpid())));
    EXPECT_NE(copied.substr(0, copied.find('\n')), number) << "constructors run in each copy";
    number = copied.substr(0, copied.find('\n'));
  }
}

TEST_F(ForkServerTest, UnsuitableProcessesAreLeftToExec) {
  environment_.push_back("LD_BIND_NOT=");
  ForkServer server(kArguments.size(), kFiller, environment_);
  EXPECT_TRUE(server.try_start({"--gtest_list_tests"}, environment_).has_value());
  EXPECT_FALSE(server.try_start({"1", "2", "3"}, environment_)) << "more arguments than announced";
  EXPECT_FALSE(server.try_start(kArguments, with(std::string(100'000, 'x'))));
  std::vector<std::string> many = environment_;
  for (int i = 0; i < 1000; ++i) many.push_back(fmt::format("V{}=", i));
  EXPECT_FALSE(server.try_start(kArguments, many));
  std::vector<std::string> others = environment_;
  others.back() = "LD_BIND_NOT=1";
  EXPECT_FALSE(server.try_start(kArguments, others)) << "the loader has read it already";
  others.pop_back();
  EXPECT_FALSE(server.try_start(kArguments, others));
  others.push_back("MALLOC_ARENA_MAX=1");
  EXPECT_FALSE(server.try_start(kArguments, others));
  EXPECT_TRUE(server.try_start({"--gtest_list_tests"}, environment_).has_value());
}

TEST_F(ForkServerTest, AnEndedServerStartsNothing) {
  ForkServer server(kArguments.size(), kFiller, environment_);
  ASSERT_EQ(children().size(), 1U);
  ::kill(children().front(), SIGKILL);
  EXPECT_FALSE(start(server, environment_));
  EXPECT_FALSE(start(server, environment_));
  EXPECT_EQ(children().size(), 0U);
}

TEST_F(ForkServerTest, AServerThatDoesNotAnswerTimesOut) {
  constexpr int kTimeout = 20;
  ForkServer server(kArguments.size(), kFiller, environment_, kTimeout);
  ASSERT_EQ(children().size(), 1U);
  const pid_t stopped = children().front();
  ::kill(stopped, SIGSTOP);
  await_stop(stopped, 10'000'000);
  EXPECT_FALSE(start(server, environment_));
  EXPECT_EQ(children().size(), 0U);
}

/// The steps of a ForkServer that times out while a copy is made.
TEST_F(ForkServerTest, ACopyWhoseAnswerIsNotReceivedExits) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  std::vector<std::string> words{own_executable(), kForkServerArgument};
  words.resize(kArguments.size() + 1);
  const std::string variable = "METAFLOW_TEST_VARIABLE=";
  pid_t pid = 0;
  ASSERT_EQ(spawn(pid, words[0], c_strings(words), c_strings({variable}), {theirs.get(), -1, -1}), 0);
  theirs.reset();
  auto pipes = make_output_pipes();
  ASSERT_TRUE(pipes);

  const ForkRequest request{.words = static_cast<std::uint32_t>(words.size()), .variables = 1};
  std::string message(reinterpret_cast<const char*>(&request), sizeof request);
  for (const std::string& text : {own_executable(), kArguments[0], kArguments[1], variable}) message += text + '\0';
  ASSERT_TRUE(send_fork_request(ours.get(), message, *pipes));
  ::shutdown(ours.get(), SHUT_RDWR);

  pipes->child_out.reset();
  pipes->child_err.reset();
  char c = 0;
  EXPECT_EQ(::read(pipes->err.get(), &c, 1), 0) << "the copy has run";
  kill_descendants();
}

TEST_F(ForkServerTest, ItEndsWithItsClient) {
  { const ForkServer server(kArguments.size(), kFiller, environment_); }
  EXPECT_EQ(children().size(), 0U);
  kill_descendants();
}

TEST_F(ForkServerTest, AFailureOfForkIsReported) {
  ForkServer server(kArguments.size(), kFiller, environment_);
  set_failure_point("start:EMFILE");
  const auto started = server.try_start(kArguments, environment_);
  ASSERT_TRUE(started);
  EXPECT_TRUE(std::holds_alternative<NoRoom>(*started));
  EXPECT_TRUE(start(server, environment_));
  kill_descendants();
}

TEST(ForkServer, IsRecognisedByItsFirstArgument) {
  const char* server[] = {"flow", kForkServerArgument, nullptr};
  const char* step[] = {"flow", "step", kForkServerArgument, nullptr};
  EXPECT_TRUE(is_fork_server(2, server));
  EXPECT_FALSE(is_fork_server(3, step));
  EXPECT_FALSE(is_fork_server(1, step));
}

}  // namespace
}  // namespace metaflow::base
