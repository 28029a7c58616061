#include "base/background_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <termios.h>

#include <thread>

#include "base/testing.h"

namespace metaflow::base {
namespace {

constexpr std::int64_t kMinute = 60'000'000;

/// The two ends of a channel whose reader can block its writer, one test per kind of channel.
class Channels : public testing::TestWithParam<const char*> {
 protected:
  Channels() {
    std::array<int, 2> ends{};
    const std::string kind = GetParam();
    if (kind == "pipe") {
      EXPECT_EQ(::pipe(ends.data()), 0);
    }
    if (kind == "socket") {
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    }
    if (kind == "terminal") {
      EXPECT_EQ(::openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr), 0);
      termios settings{};
      ::tcgetattr(ends[1], &settings);
      ::cfmakeraw(&settings);
      ::tcsetattr(ends[1], TCSANOW, &settings);
    }
    out_.reset(ends[0]);
    in_.reset(ends[1]);
  }
  ~Channels() override { ::signal(SIGPIPE, before_); }

  void (*before_)(int) = ::signal(SIGPIPE, SIG_IGN);
  Fd out_;
  Fd in_;
};

std::string numbers(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i) + "\n";
  return text;
}

TEST_P(Channels, AWriteDoesNotBlock) {
  BackgroundWriter writer(in_.get());
  writer.write(std::string(2 << 20, 'x'));
  EXPECT_GT(writer.pending(), 0U);
  EXPECT_FALSE(writer.finish(1000));
  EXPECT_FALSE(writer.closed());
}

TEST_P(Channels, ASlowReaderReceivesEverythingInOrder) {
  const std::string text = numbers(200'000);
  BackgroundWriter writer(in_.get());
  for (std::size_t at = 0; at < text.size(); at += 100'000) writer.write(std::string_view(text).substr(at, 100'000));
  EXPECT_GT(writer.pending(), 0U);
  std::string got;
  std::thread reader([&] { got = read_bytes(out_.get(), text.size()); });
  EXPECT_TRUE(writer.finish(kMinute));
  EXPECT_EQ(writer.written(), text.size());
  reader.join();
  EXPECT_EQ(got, text);
}

TEST_P(Channels, AReaderThatClosesItsEndStopsTheWriter) {
  BackgroundWriter writer(in_.get());
  writer.write(std::string(2 << 20, 'x'));
  out_.reset();
  EXPECT_TRUE(writer.finish(kMinute));
  writer.write("more");
  EXPECT_TRUE(writer.finish(kMinute));
}

TEST_P(Channels, NotifiesWhenLittleIsPending) {
  BackgroundWriter writer(in_.get());
  writer.write(std::string(2 << 20, 'x'));
  constexpr std::size_t kLittle = 500'000;
  writer.notify_at(kLittle);
  pollfd waiting{writer.event(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  read_bytes(out_.get(), (2 << 20) - kLittle);
  EXPECT_EQ(::poll(&waiting, 1, 60'000), 1);
  EXPECT_LE(writer.pending(), kLittle);
  writer.clear_event();
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
}

TEST_P(Channels, FinishCanBeStopped) {
  ReadPipe stop;
  EXPECT_EQ(::write(stop.in.get(), "x", 1), 1);
  BackgroundWriter writer(in_.get());
  writer.write(std::string(2 << 20, 'x'));
  EXPECT_FALSE(writer.finish(100 * kMinute, stop.out.get()));
}

INSTANTIATE_TEST_SUITE_P(BackgroundWriter, Channels, testing::Values("pipe", "socket", "terminal"));

TEST(BackgroundWriter, AClosedPipeIsReported) {
  ReadPipe pipe;
  pipe.out.reset();
  BackgroundWriter writer(pipe.in.get());
  writer.write("x");
  EXPECT_TRUE(writer.finish(kMinute));
  EXPECT_TRUE(writer.closed());
}

TEST(BackgroundWriter, AStoppedTerminalCanBeResumed) {
  int master = -1;
  int slave = -1;
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const Fd out(master);
  const Fd in(slave);
  ASSERT_EQ(::tcflow(slave, TCOOFF), 0);  // Ctrl-S
  BackgroundWriter writer(slave);
  writer.write("text");
  EXPECT_FALSE(writer.finish(1000));
  ASSERT_EQ(::tcflow(slave, TCOON), 0);
  EXPECT_TRUE(writer.finish(kMinute));
  EXPECT_EQ(read_bytes(master, 4), "text");
}

TEST(BackgroundWriter, AFileIsWrittenAtOnce) {
  const Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  BackgroundWriter writer(file.get());
  const std::string text = numbers(100'000);
  writer.write(text);
  EXPECT_EQ(writer.pending(), 0U);
  ::lseek(file.get(), 0, SEEK_SET);
  EXPECT_EQ(read_bytes(file.get(), text.size() + 1), text);
}

TEST(BackgroundWriter, DoesNotChangeTheOpenFile) {
  ReadPipe pipe;
  BackgroundWriter writer(pipe.in.get());
  writer.write(std::string(1 << 20, 'x'));
  EXPECT_EQ(::fcntl(pipe.in.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(BackgroundWriter, WriteWithTimeoutGivesUp) {
  ReadPipe pipe;
  write_with_timeout(pipe.in.get(), std::string(1 << 20, 'x'), 1000);
  write_with_timeout(-1, "dropped", 1000);
}

}  // namespace
}  // namespace metaflow::base
