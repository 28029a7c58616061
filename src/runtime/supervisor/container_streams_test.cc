#include "runtime/supervisor/container_streams.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "base/testing.h"

namespace metaflow::runtime {
namespace {

using store::Stream;

constexpr std::int64_t kMinute = 60'000'000;

class ClockAhead : public base::SystemClock {
 public:
  std::int64_t monotonic_microseconds() override { return base::SystemClock::monotonic_microseconds() + ahead; }
  std::int64_t ahead = 0;
};

/// A container runtime: reads pieces of either stream when the test says so, into one log.
class ContainerStreamsTest : public testing::Test {
 protected:
  /// Reads the available bytes of a stream; returns their number.
  std::size_t read(base::ReadPipe& pipe) {
    std::string piece(64 * 1024, '\0');
    const ssize_t count = ::read(pipe.out.get(), piece.data(), piece.size());
    if (count > 0) log_.append(piece, 0, static_cast<std::size_t>(count));
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  void turn() {
    const base::EventLoop::Timer timer = loop_.after(100, [] {});
    loop_.run_once();
    loop_.cancel(timer);
  }
  /// Waits until this many bytes are in a pipe: where pwritev2() cannot write at once, a thread writes.
  void wait_for(base::ReadPipe& pipe, int size) {
    for (int bytes = 0; bytes < size; turn()) ASSERT_EQ(::ioctl(pipe.out.get(), FIONREAD, &bytes), 0);
  }
  /// Reads `first` before `second` whenever both have data.
  void read_until(std::size_t size, base::ReadPipe& first, base::ReadPipe& second) {
    while (log_.size() < size) {
      if (read(first) == 0) read(second);
      turn();
    }
  }

  ClockAhead clock_;
  base::EventLoop loop_{clock_};
  base::ReadPipe out_;
  base::ReadPipe err_;
  std::optional<ContainerStreams> streams_;
  std::string log_;

  ContainerStreamsTest() {
    for (base::ReadPipe* pipe : {&out_, &err_}) ::fcntl(pipe->out.get(), F_SETFL, O_NONBLOCK);
    streams_.emplace(loop_, clock_, out_.in.get(), err_.in.get());
  }
};

TEST_F(ContainerStreamsTest, LineIsWrittenWhenItIsComplete) {
  streams_->add(Stream::out, "one ");
  streams_->add(Stream::err, "two\n");
  streams_->add(Stream::out, "line\nrest");
  wait_for(out_, 9);
  wait_for(err_, 4);
  read_until(13, out_, err_);
  EXPECT_EQ(log_, "one line\ntwo\n");
  streams_->finish(kMinute, -1);
  read_until(17, out_, err_);
  EXPECT_EQ(log_, "one line\ntwo\nrest");
}

TEST_F(ContainerStreamsTest, LongLineStaysWholeWhileTheOtherStreamWrites) {
  const std::string line = std::string(300'000, 'x') + "\n";  // several times what a pipe holds
  const std::vector<std::string> parts{"before\n", line, "after\n", line, "end\n"};
  streams_->add(Stream::err, parts[0]);
  streams_->add(Stream::out, line.substr(0, 100'000));
  streams_->add(Stream::out, line.substr(100'000));
  streams_->add(Stream::err, parts[2]);
  streams_->add(Stream::out, line);
  streams_->add(Stream::err, parts[4]);
  std::string whole;
  for (const std::string& part : parts) whole += part;
  read_until(whole.size(), err_, out_);
  EXPECT_EQ(log_, whole) << "also in the order in which they were written";
}

TEST_F(ContainerStreamsTest, UnreadLineHoldsUpTheStepButNotTheEnd) {
  const std::string line = std::string(300'000, 'x') + "\n";
  for (int i = 0; i < 5; ++i) streams_->add(Stream::out, line);
  EXPECT_TRUE(streams_->congested(Stream::out));
  EXPECT_TRUE(streams_->congested(Stream::err));
  clock_.ahead += ContainerStreams::kAlone;
  streams_->finish(0, -1);
  wait_for(out_, 1);
  EXPECT_GT(read(out_), 0U);
}

}  // namespace
}  // namespace metaflow::runtime
