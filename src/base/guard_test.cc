#include "base/guard.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>

#include "base/process.h"
#include "base/testing.h"

namespace metaflow::base {
namespace {

/// A program under a guard, as a child of the test. Both can send numbers through a pipe, which is at its end when both
/// have ended.
class Guarded {
 public:
  explicit Guarded(const std::function<void(Guarded&)>& program, std::int64_t timeout = 60'000'000) {
    EXPECT_EQ(::pipe(ends_.data()), 0);
    guard = ::fork();
    if (guard == 0) {
      ::close(ends_[0]);
      const rlimit none{0, 0};
      ::setrlimit(RLIMIT_CORE, &none);
      continue_under_guard([this](int signal) { send(-signal); }, timeout);
      program(*this);
      ::_exit(0);
    }
    ::close(ends_[1]);
  }
  ~Guarded() { ::close(ends_[0]); }

  void send(int number) { [[maybe_unused]] const ssize_t n = ::write(ends_[1], &number, sizeof number); }
  /// The next number; 0 if all processes have ended.
  int receive() {
    pollfd waiting{ends_[0], POLLIN, 0};
    if (::poll(&waiting, 1, 60'000) != 1) return -1'000;
    int number = 0;
    return ::read(ends_[0], &number, sizeof number) == sizeof number ? number : 0;
  }
  int status() {
    int status = 0;
    while (::waitpid(guard, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  pid_t guard = 0;

 private:
  std::array<int, 2> ends_{};
};

[[noreturn]] void wait_for_ever() {
  while (true) ::pause();
}

/// Starts a process in its own session that holds the pipe and whose parent has ended.
void leave_a_daemon(Guarded& self) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setsid();
    const pid_t daemon = ::fork();
    if (daemon == 0) wait_for_ever();
    self.send(daemon);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
}

TEST(Guard, EndsWithTheStatusOfItsChild) {
  for (int code : {0, 1, 42}) {
    Guarded program([&](Guarded&) { ::_exit(code); });
    const int status = program.status();
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), code);
  }
}

TEST(Guard, ReportsTheSignalThatKilledItsChild) {
  for (int signal : {SIGKILL, SIGSEGV, SIGTERM}) {
    Guarded program([&](Guarded&) {
      ::signal(signal, SIG_DFL);  // a sanitizer may have installed its own handler
      ::raise(signal);
    });
    EXPECT_EQ(program.receive(), -signal);
    const int status = program.status();
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), signal);
  }
}

TEST(Guard, NoDescendantIsLeft) {
  for (const bool killed : {false, true}) {
    Guarded program([&](Guarded& self) {
      leave_a_daemon(self);
      if (killed) ::raise(SIGKILL);
    });
    const int daemon = program.receive();
    EXPECT_GT(daemon, 0);
    if (killed) {
      EXPECT_EQ(program.receive(), -SIGKILL);
    }
    program.status();
    EXPECT_EQ(program.receive(), 0);
    EXPECT_EQ(process_start_time(daemon), 0U);
  }
}

TEST(Guard, ForwardsSignals) {
  Guarded program([](Guarded& self) {
    static Guarded* program_under_test;
    program_under_test = &self;
    ::signal(SIGTERM, [](int number) {
      program_under_test->send(number);
      ::_exit(7);
    });
    self.send(1);
    wait_for_ever();
  });
  EXPECT_EQ(program.receive(), 1);
  ::kill(program.guard, SIGTERM);
  EXPECT_EQ(program.receive(), SIGTERM);
  EXPECT_EQ(WEXITSTATUS(program.status()), 7);
}

TEST(Guard, ABlockedChildIsKilledAfterTheSecondRequest) {
  Guarded program(
      [](Guarded& self) {
        sigset_t all;
        sigfillset(&all);
        ::sigprocmask(SIG_BLOCK, &all, nullptr);
        leave_a_daemon(self);
        wait_for_ever();
      },
      1000);
  const int daemon = program.receive();
  EXPECT_GT(daemon, 0);
  ::kill(program.guard, SIGINT);
  ::kill(program.guard, SIGTERM);
  EXPECT_EQ(program.receive(), -SIGKILL);
  EXPECT_EQ(program.receive(), 0);
  EXPECT_EQ(process_start_time(daemon), 0U);
  EXPECT_EQ(WTERMSIG(program.status()), SIGKILL);
}

TEST(Guard, DoesNotForwardIgnoredSignals) {
  ::signal(SIGHUP, SIG_IGN);
  Guarded program([](Guarded& self) {
    sigset_t signals;
    sigemptyset(&signals);
    for (int signal : {SIGHUP, SIGTERM}) sigaddset(&signals, signal);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    self.send(1);
    int signal = 0;
    while (signal != SIGTERM) {
      ::sigwait(&signals, &signal);
      self.send(signal);
    }
  });
  ::signal(SIGHUP, SIG_DFL);
  EXPECT_EQ(program.receive(), 1);
  ::kill(program.guard, SIGHUP);
  ::kill(program.guard, SIGTERM);
  EXPECT_EQ(program.receive(), SIGTERM);
  EXPECT_EQ(program.status(), 0);
}

TEST(Guard, AChildThatIgnoresSIGTERMDiesWithItsGuard) {
  ::signal(SIGTERM, SIG_IGN);
  Guarded program([](Guarded& self) {
    self.send(::getpid());
    wait_for_ever();
  });
  ::signal(SIGTERM, SIG_DFL);
  EXPECT_GT(program.receive(), 0);
  ::kill(program.guard, SIGKILL);
  EXPECT_EQ(program.receive(), 0);
  EXPECT_EQ(WTERMSIG(program.status()), SIGKILL);
}

TEST(Guard, TheChildGetsSIGTERMWhenItsGuardDies) {
  Guarded program([](Guarded& self) {
    static Guarded* program_under_test;
    program_under_test = &self;
    ::signal(SIGTERM, [](int number) {
      program_under_test->send(number);
      ::_exit(0);
    });
    self.send(::getpid());
    wait_for_ever();
  });
  EXPECT_GT(program.receive(), 0);
  ::kill(program.guard, SIGKILL);
  EXPECT_EQ(program.receive(), SIGTERM);
  EXPECT_EQ(program.receive(), 0);
  EXPECT_EQ(WTERMSIG(program.status()), SIGKILL);
}

TEST(Guard, TheChildHandlesSIGTSTPBeforeBothStop) {
  Guarded program([](Guarded& self) {
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    ::sigprocmask(SIG_BLOCK, &stop, nullptr);
    self.send(1);
    int signal = 0;
    ::sigwait(&stop, &signal);
    self.send(signal);
    ::raise(SIGSTOP);
    self.send(2);
  });
  EXPECT_EQ(program.receive(), 1);
  ::kill(program.guard, SIGTSTP);
  EXPECT_EQ(program.receive(), SIGTSTP);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(program.guard), &info, WSTOPPED);
  EXPECT_EQ(info.si_code, CLD_STOPPED);
  ::kill(program.guard, SIGCONT);
  EXPECT_EQ(program.receive(), 2);
  EXPECT_EQ(program.status(), 0);
}

TEST(Guard, TheChildHasNoTerminal) {
  EXPECT_EQ(with_terminal([] {
              const bool before = has_terminal();
              continue_under_guard([](int) {});
              return before && !has_terminal() ? 0 : 1;
            }),
            0);
}

TEST(Guard, TheChildLeadsAGroupAndKeepsItsSignals) {
  Guarded program([](Guarded& self) {
    sigset_t blocked;
    ::sigprocmask(SIG_BLOCK, nullptr, &blocked);
    self.send(::getpgrp() == ::getpid() ? 1 : 2);
    self.send(sigismember(&blocked, SIGTERM) == 0 && sigismember(&blocked, SIGCHLD) == 0 ? 1 : 2);
  });
  EXPECT_EQ(program.receive(), 1);
  EXPECT_EQ(program.receive(), 1);
  program.status();
}

}  // namespace
}  // namespace metaflow::base
