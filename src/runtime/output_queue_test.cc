#include "runtime/output_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/testing.h"

namespace metaflow::runtime {
namespace {

/// A queue to a reader that the test controls.
class OutputQueueTest : public testing::Test, public base::SystemClock {
 protected:
  std::int64_t monotonic_microseconds() override { return now_; }
  std::int64_t boot_microseconds() override { return now_; }

  base::ReadPipe pipe_;
  std::int64_t now_ = 1;
  base::EventLoop loop_{*this};
  OutputQueue queue_{loop_, *this, pipe_.in.get()};
};

TEST_F(OutputQueueTest, ProducersWaitForASlowReader) {
  EXPECT_FALSE(queue_.congested());
  const std::string text(2 << 20, 'x');
  queue_.add(text);
  queue_.flush();
  EXPECT_TRUE(queue_.congested());
  base::read_bytes(pipe_.out.get(), text.size() - OutputQueue::kRelieved);
  while (queue_.congested()) loop_.run_once();  // the loop wakes up
  EXPECT_LE(queue_.waiting(), OutputQueue::kRelieved);
}

TEST_F(OutputQueueTest, ProducersDoNotWaitForAStuckReader) {
  queue_.add(std::string(4 << 20, 'x'));
  queue_.flush();
  EXPECT_TRUE(queue_.congested());
  while (queue_.congested()) now_ += OutputQueue::kStuck;  // until its thread has filled the pipe
  base::read_bytes(pipe_.out.get(), 4096);
  while (!queue_.congested()) std::this_thread::yield();  // the reader continues, by this one page
  now_ += OutputQueue::kStuck - 1;
  EXPECT_TRUE(queue_.congested());
  now_ += 1;
  EXPECT_FALSE(queue_.congested());
}

TEST_F(OutputQueueTest, LoopWakesUpWhenAReaderIsStuck) {
  queue_.add(std::string(4 << 20, 'x'));
  queue_.flush();
  EXPECT_TRUE(queue_.congested());
  do {
    now_ += OutputQueue::kStuck;
    loop_.run_once();
  } while (queue_.congested());  // until its thread has filled the pipe
}

TEST_F(OutputQueueTest, QueueIsBounded) {
  constexpr std::size_t kSize = 1 << 20;
  std::size_t added = 0;
  for (; queue_.has_room(kSize, false); ++added) queue_.add(std::string(kSize, 'x'));
  EXPECT_EQ(added, OutputQueue::kMost / kSize);
  EXPECT_TRUE(queue_.has_room(100, true)) << "needed lines have additional room";
  EXPECT_FALSE(queue_.has_room(2 * kSize, true));
  EXPECT_FALSE(queue_.has_room(1, false));
  queue_.flush();
  base::read_bytes(pipe_.out.get(), OutputQueue::kMost / 2);
  EXPECT_FALSE(queue_.has_room(1, false)) << "few long gaps, not many short ones";
  base::read_bytes(pipe_.out.get(), OutputQueue::kMost / 2);
  EXPECT_TRUE(queue_.finish(60'000'000, -1));
  EXPECT_TRUE(queue_.has_room(1, false));
}

TEST_F(OutputQueueTest, NothingIsKeptForAClosedReader) {
  pipe_.out.reset();
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(queue_.has_room(1 << 20, false));
    queue_.add(std::string(1 << 20, 'x'));
    queue_.flush();
  }
  EXPECT_EQ(queue_.waiting(), 0U);
  EXPECT_FALSE(queue_.congested());
}

}  // namespace
}  // namespace metaflow::runtime
