#include "base/guard.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>

#include "base/files.h"
#include "base/process.h"

namespace metaflow::base {

namespace {

constexpr int kPassedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

constexpr std::int64_t kStopTimeout = 2'000'000;  // microseconds; the child may be busy

bool asks_to_stop(int signal) { return signal == SIGINT || signal == SIGTERM || signal == SIGHUP; }

std::int64_t monotonic_nanoseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// Kills a child that was asked to stop twice and is still running: it blocks and cannot react.
class KillTimer {
 public:
  KillTimer(pid_t child, std::int64_t timeout) : child_(child), timeout_(timeout * 1000) {}

  void on_signal(int signal) {
    if (asks_to_stop(signal) && ++asked_ == 2) kill_at_ = monotonic_nanoseconds() + timeout_;
  }
  /// The next signal; -1: call again.
  int wait(const sigset_t& watched) {
    siginfo_t info{};
    if (kill_at_ == 0) return ::sigwaitinfo(&watched, &info);
    const std::int64_t left = std::max<std::int64_t>(kill_at_ - monotonic_nanoseconds(), 0);
    const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
    const int signal = ::sigtimedwait(&watched, &info, &timeout);
    if (signal < 0 && errno == EAGAIN) {
      ::kill(child_, SIGKILL);
      kill_at_ = 0;
    }
    return signal;
  }

 private:
  pid_t child_;
  std::int64_t timeout_;  // nanoseconds
  int asked_ = 0;
  std::int64_t kill_at_ = 0;  // monotonic; 0: never
};

[[noreturn]] void guard(pid_t child, const sigset_t& watched, const std::function<void(int)>& killed,
                        std::int64_t timeout) {
  ::setpgid(child, child);
  KillTimer kill_timer(child, timeout);
  while (true) {
    const int signal = kill_timer.wait(watched);
    if (signal < 0) continue;
    if (signal == SIGTSTP) {  // Ctrl-Z: both stop, and both go on
      ::kill(child, SIGTSTP);
      await_stop(child, kStopTimeout);  // the child stops its own children, then itself
      ::kill(child, SIGSTOP);
      ::kill(::getpid(), SIGSTOP);
      ::kill(child, SIGCONT);
      continue;
    }
    if (signal != SIGCHLD) {
      ::kill(child, signal);
      kill_timer.on_signal(signal);
      continue;
    }
    int status = 0;
    // Orphans of the child become children of this process, and are reaped here.
    pid_t ended = 0;
    bool over = false;
    int how = 0;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended != child) continue;
      over = true;
      how = status;
    }
    if (!over) continue;
    kill_descendants();
    if (WIFEXITED(how)) ::_exit(WEXITSTATUS(how));
    killed(WTERMSIG(how));
    // End with the child's status, so that a shell sees it; without a second core file.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(WTERMSIG(how), SIG_DFL);
    sigset_t own;
    sigemptyset(&own);
    sigaddset(&own, WTERMSIG(how));
    ::sigprocmask(SIG_UNBLOCK, &own, nullptr);
    ::raise(WTERMSIG(how));
    ::_exit(128 + WTERMSIG(how));
  }
}

/// For this process and its future children; output to the terminal still works. They are in the background: a process
/// that reads a password from the terminal would be stopped and wait for ever, without a message.
void give_up_terminal() {
  const Fd terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (terminal) ::ioctl(terminal.get(), TIOCNOTTY);
}

}  // namespace

void continue_under_guard(const std::function<void(int signal)>& killed, std::int64_t timeout) {
  sigset_t watched;
  sigset_t before;
  sigemptyset(&watched);
  for (int signal : kPassedOn) {
    if (!is_ignored(signal)) sigaddset(&watched, signal);
  }
  sigaddset(&watched, SIGCHLD);
  if (!is_ignored(SIGTSTP)) sigaddset(&watched, SIGTSTP);
  ::sigprocmask(SIG_BLOCK, &watched, &before);
  become_subreaper();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw_errno("start", "the scheduler", errno);
  if (child > 0) guard(child, watched, killed, timeout);
  ::setpgid(0, 0);
  ::signal(SIGTTOU, SIG_IGN);  // only the guard is in the foreground, but both write to the terminal
  give_up_terminal();
  const int farewell = is_ignored(SIGTERM) ? SIGKILL : SIGTERM;
  ::prctl(PR_SET_PDEATHSIG, farewell, 0, 0, 0);
  if (::getppid() != parent) ::raise(farewell);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace metaflow::base
