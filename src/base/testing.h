// Test helpers: a clock set by hand, a pipe read by the test, a terminal.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "base/background_work.h"
#include "base/clock.h"
#include "base/files.h"

namespace metaflow::base {

class FakeClock : public Clock {
 public:
  std::int64_t wall_microseconds() override { return now; }
  std::int64_t monotonic_microseconds() override { return now; }
  std::int64_t boot_microseconds() override { return now; }
  std::int64_t now = 1'700'000'000'000'000;
};

/// Waits until no detached thread is running. A test that counts threads also waits before it starts any: those of
/// earlier tests may end meanwhile.
inline void wait_for_detached_threads() {
  while (detached_threads() > 0) std::this_thread::yield();
}

/// A pipe; ignores SIGPIPE during its lifetime.
struct ReadPipe {
  ReadPipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    out.reset(ends[0]);
    in.reset(ends[1]);
  }
  ~ReadPipe() {
    out.reset();
    ::signal(SIGPIPE, before);
  }
  Fd out;
  Fd in;
  void (*before)(int) = ::signal(SIGPIPE, SIG_IGN);
};

/// Calls the function in a child process in the foreground of its own terminal. Returns the function's result.
inline int with_terminal(const std::function<int()>& call) {
  const Fd master(::posix_openpt(O_RDWR | O_NOCTTY));
  EXPECT_TRUE(master);
  EXPECT_EQ(::grantpt(master.get()), 0);
  EXPECT_EQ(::unlockpt(master.get()), 0);
  const std::string name = ::ptsname(master.get());
  const pid_t child = ::fork();
  if (child == 0) {
    ::setsid();
    const Fd terminal(::open(name.c_str(), O_RDWR));  // becomes the controlling terminal
    ::_exit(call());
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Whether this process has a terminal.
inline bool has_terminal() { return static_cast<bool>(Fd(::open("/dev/tty", O_RDWR | O_NOCTTY))); }

/// Reads `size` bytes, blocking; fewer at the end of the file.
inline std::string read_bytes(int fd, std::size_t size) {
  std::string text(size, '\0');
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = ::read(fd, text.data() + got, size - got);
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  text.resize(got);
  return text;
}

}  // namespace metaflow::base
