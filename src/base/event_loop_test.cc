#include "base/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "base/process.h"
#include "base/signals_blocked.h"

namespace metaflow::base {
namespace {

using testing::ElementsAre;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    out.reset(ends[0]);
    in.reset(ends[1]);
  }
  Fd out;
  Fd in;
};

TEST(EventLoop, TimersFireInTheOrderOfTheirDeadlines) {
  SystemClock clock;
  EventLoop loop(clock);
  std::vector<int> fired;
  loop.after(2000, [&] { fired.push_back(2); });
  loop.after(0, [&] { fired.push_back(0); });
  loop.after(1000, [&] { fired.push_back(1); });
  const auto never = loop.after(500, [&] { fired.push_back(9); });
  loop.cancel(never);
  while (fired.size() < 3) loop.run_once();
  EXPECT_THAT(fired, ElementsAre(0, 1, 2));
}

TEST(EventLoop, ATimerMayStartAndCancelTimers) {
  SystemClock clock;
  EventLoop loop(clock);
  bool done = false;
  const auto victim = loop.after(5000, [] { FAIL() << "was cancelled"; });
  loop.after(0, [&] {
    loop.cancel(victim);
    loop.after(6000, [&] { done = true; });
  });
  while (!done) loop.run_once();
}

TEST(EventLoop, ReportsReadableDescriptors) {
  SystemClock clock;
  EventLoop loop(clock);
  Pipe pipe;
  int calls = 0;
  loop.watch(pipe.out.get(), [&] {
    ++calls;
    char byte = 0;
    EXPECT_EQ(::read(pipe.out.get(), &byte, 1), 1);
  });
  EXPECT_EQ(::write(pipe.in.get(), "ab", 2), 2);
  while (calls < 2) loop.run_once();
  loop.unwatch(pipe.out.get());
}

TEST(EventLoop, ACallbackMayUnwatchAnotherThatIsReady) {
  SystemClock clock;
  EventLoop loop(clock);
  std::array<Pipe, 2> pipes;
  int calls = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(::write(pipes[i].in.get(), "x", 1), 1);
    loop.watch(pipes[i].out.get(), [&] {
      ++calls;
      for (Pipe& pipe : pipes) loop.unwatch(pipe.out.get());
    });
  }
  loop.run_once();
  EXPECT_EQ(calls, 1);
}

/// Longer than the limit, also if a part of it is not counted. The signal that takes the stack does not end it.
void block() {
  const SignalsBlocked blocked;
  ::usleep(300'000);
}

/// The watchdog's complaints about a loop with this callback.
std::vector<std::string> complaints_of(const std::function<void()>& what) {
  SystemClock clock;
  EventLoop loop(clock);
  std::vector<std::string> complaints;
  const EventLoop::NoWaiting scope(loop, 20, [&](const std::string& words) { complaints.push_back(words); });
  bool done = false;
  loop.after(0, [&] {
    what();
    done = true;
  });
  while (!done) loop.run_once();
  loop.after(30'000, [] {});
  loop.run_once();  // waiting for the next event is allowed
  return complaints;
}

TEST(EventLoop, ABlockingCallbackIsReported) {
  const auto complaints = complaints_of(block);
  ASSERT_THAT(complaints, testing::SizeIs(1));
  EXPECT_THAT(complaints[0], testing::HasSubstr("event_loop_test.cc:"));
  EXPECT_THAT(complaints[0], testing::HasSubstr("After 30 ms it was here:\n  "));
}

TEST(EventLoop, ABusyCallbackIsNotReported) {
  EXPECT_THAT(complaints_of([] {
                const std::clock_t begin = std::clock();  // CPU time
                while (std::clock() - begin < CLOCKS_PER_SEC / 30) continue;
              }),
              testing::IsEmpty());
}

TEST(EventLoop, AnAllowedWaitIsNotReported) {
  EXPECT_THAT(complaints_of([] {
                const EventLoop::AllowedWait start_of_a_process;
                block();
              }),
              testing::IsEmpty());
  EXPECT_THAT(complaints_of([] {
                { const EventLoop::AllowedWait none; }
                block();
              }),
              testing::SizeIs(1));
}

TEST(EventLoop, ABlockingCallerIsReported) {
  SystemClock clock;
  EventLoop loop(clock);
  std::vector<std::string> complaints;
  const EventLoop::NoWaiting scope(loop, 20, [&](const std::string& words) { complaints.push_back(words); });
  loop.poll();
  block();
  loop.poll();
  ASSERT_THAT(complaints, testing::SizeIs(1));
  EXPECT_THAT(complaints[0], testing::HasSubstr("between two turns"));
}

TEST(SignalReader, UnreadSignalsAreDropped) {
  {
    const SignalReader reader({SIGUSR1});
    ::kill(::getpid(), SIGUSR1);  // its default is to end the process
  }
  SignalReader again({SIGUSR1});
  EXPECT_EQ(again.next(), 0);
}

TEST(SignalReader, SignalsAreRead) {
  SystemClock clock;
  EventLoop loop(clock);
  SignalReader reader({SIGUSR1});
  ::kill(::getpid(), SIGUSR1);
  int got = 0;
  loop.watch(reader.fd(), [&] { got = reader.next(); });
  while (got == 0) loop.run_once();
  EXPECT_EQ(got, SIGUSR1);
  EXPECT_EQ(reader.next(), 0);
}

TEST(SignalReader, ASignalThatIsIgnoredStaysIgnored) {
  ::signal(SIGUSR1, SIG_IGN);
  {
    SignalReader reader({SIGUSR1, SIGUSR2});
    ::kill(::getpid(), SIGUSR1);
    ::kill(::getpid(), SIGUSR2);
    EXPECT_EQ(reader.next(), SIGUSR2);
    EXPECT_EQ(reader.next(), 0);
  }
  ::signal(SIGUSR1, SIG_DFL);
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
    if (n == 0) return text;
    if (n < 0 && errno != EAGAIN && errno != EINTR) return text;
  }
}

ProcessEnd wait_for(const Child& child) {
  SystemClock clock;
  EventLoop loop(clock);
  std::optional<ProcessEnd> ending;
  loop.watch(child.pidfd.get(), [&] { ending = reap(child.pid); });
  while (!ending) loop.run_once();
  return *ending;
}

TEST(Process, HasArgumentsEnvironmentAndEmptyInput) {
  const Child child = start_process({"/bin/sh"}, {"-c", "cat; echo \"$1 $NAME\"; echo bad >&2; exit 3", "sh", "a b"},
                                    {"PATH=/usr/bin:/bin", "NAME=value"});
  const ProcessEnd ending = wait_for(child);
  EXPECT_EQ(ending.exit_code, 3);
  EXPECT_EQ(ending.signal, 0);
  EXPECT_GT(ending.peak_memory, 0U);
  EXPECT_EQ(read_all(child.out.get()), "a b value\n");
  EXPECT_EQ(read_all(child.err.get()), "bad\n");
}

TEST(Process, SignalsHaveTheirDefaults) {
  ::signal(SIGPIPE, SIG_IGN);
  const Child child = start_process({"/bin/sh"}, {"-c", "kill -PIPE $$; echo still here"}, {"PATH=/usr/bin:/bin"});
  EXPECT_EQ(wait_for(child).signal, SIGPIPE);
  ::signal(SIGPIPE, SIG_DFL);
}

/// Which of these signals, numbers, a process does not survive.
std::string deadly_signals(const std::string& numbers) {
  const std::string script = "for n in " + numbers + "; do sh -c \"kill -$n \\$\\$; exit 0\" || echo $n; done";
  const Child child = start_process({"/bin/sh"}, {"-c", script}, {"PATH=/usr/bin:/bin"});
  EXPECT_EQ(wait_for(child).exit_code, 0);
  return read_all(child.out.get());
}

TEST(Process, SignalsThatAreIgnoredStayIgnoredInChildren) {
  for (int signal : {SIGHUP, SIGINT, SIGQUIT}) ::signal(signal, SIG_DFL);  // a script's `unit_tests &` ignores two
  EXPECT_EQ(deadly_signals("HUP INT QUIT USR1"), "HUP\nINT\nQUIT\nUSR1\n");
  for (int signal : {SIGHUP, SIGINT, SIGQUIT}) ::signal(signal, SIG_IGN);
  EXPECT_EQ(deadly_signals("HUP INT QUIT USR1"), "USR1\n");
  for (int signal : {SIGHUP, SIGINT, SIGQUIT}) ::signal(signal, SIG_DFL);
}

TEST(Process, SIGTERMIsNeverIgnoredInChildren) {
  ::signal(SIGTERM, SIG_IGN);
  EXPECT_EQ(deadly_signals("TERM"), "TERM\n");
  ::signal(SIGTERM, SIG_DFL);
}

TEST(Process, AProgramInTheForegroundInheritsIgnoredSignals) {
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGQUIT, SIG_IGN);
  const std::vector<std::string> command{"/bin/sh", "-c", "kill -QUIT $$; kill -INT $$"};
  EXPECT_EQ(run_in_foreground(command, {"PATH=/usr/bin:/bin"}), 128 + SIGINT);
  EXPECT_TRUE(is_ignored(SIGQUIT));
  EXPECT_FALSE(is_ignored(SIGINT));
  ::signal(SIGQUIT, SIG_DFL);
}

TEST(Process, LeadsAGroup) {
  const Child child = start_process({"/bin/sh"}, {"-c", "sleep 1000 & wait"}, {"PATH=/usr/bin:/bin"});
  EXPECT_EQ(::getpgid(child.pid), child.pid);
  EXPECT_EQ(::kill(-child.pid, SIGKILL), 0);
  EXPECT_EQ(wait_for(child).signal, SIGKILL);
}

TEST(Process, SignalsHaveNames) {
  EXPECT_EQ(signal_name(SIGKILL), "SIGKILL");
  EXPECT_EQ(signal_name(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(signal_name(99), "signal 99");
}

}  // namespace
}  // namespace metaflow::base
