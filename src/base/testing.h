// What tests share: a clock that is set by hand, and a pipe whose reader is the test.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>

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

/// SIGPIPE is ignored while it lives.
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

/// Reads so many bytes, blocking; fewer at the end of the file.
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
