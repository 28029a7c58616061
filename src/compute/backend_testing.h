// Shared by tests of backends, besides testing.h: a clock that can leap, and a gate where steps report.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/files.h"

namespace metaflow::compute {

/// The system's clock plus an offset that a test sets. It runs on, since processes and servers take time.
class LeapingClock : public base::Clock {
 public:
  std::int64_t wall_microseconds() override { return system_.wall_microseconds() + ahead_; }
  std::int64_t monotonic_microseconds() override { return system_.monotonic_microseconds() + ahead_; }
  std::int64_t boot_microseconds() override { return system_.boot_microseconds() + ahead_; }
  void leap(std::int64_t microseconds) { ahead_ += microseconds; }

 private:
  base::SystemClock system_;
  std::int64_t ahead_ = 0;
};

/// A server that steps connect to (test/flows/gate.h), watched by the loop. Not thread-safe.
class TestGate {
 public:
  explicit TestGate(base::EventLoop& loop) : loop_(loop), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 64), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    loop_.watch(listener_.get(), [this] { accept(); });
  }
  ~TestGate() {
    loop_.unwatch(listener_.get());
    for (const auto& [fd, connection] : open_) loop_.unwatch(fd);
  }
  TestGate(const TestGate&) = delete;
  TestGate& operator=(const TestGate&) = delete;

  std::string port() const { return std::to_string(port_); }
  std::size_t connections() const { return connections_; }
  /// How many of those were closed: their processes have ended.
  std::size_t closed() const { return connections_ - open_.size(); }
  /// Answers all open connections.
  void release() {
    for (const auto& [fd, connection] : open_) EXPECT_EQ(::write(fd, "!", 1), 1);
  }

 private:
  void accept() {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ++connections_;
    open_.emplace(fd, base::Fd(fd));
    loop_.watch(fd, [this, fd] {
      char buffer[64];
      if (::read(fd, buffer, sizeof buffer) > 0) return;
      loop_.unwatch(fd);
      open_.erase(fd);
    });
  }

  base::EventLoop& loop_;
  base::Fd listener_;
  int port_ = 0;
  std::size_t connections_ = 0;
  std::map<int, base::Fd> open_;
};

}  // namespace metaflow::compute
