#include "base/background_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/testing.h"

namespace metaflow::base {
namespace {

using testing::ElementsAre;

TEST(BackgroundWork, RunsOnAnotherThreadAndReportsInTheLoop) {
  SystemClock clock;
  EventLoop loop(clock);
  BackgroundWork work(loop);
  const auto here = std::this_thread::get_id();
  auto there = std::make_shared<std::thread::id>();
  bool reported = false;
  work.start([there] { *there = std::this_thread::get_id(); },
             [&] {
               EXPECT_EQ(std::this_thread::get_id(), here);
               reported = true;
             });
  EXPECT_EQ(work.running(), 1U);
  while (!reported) loop.run_once();
  EXPECT_NE(*there, here);
  EXPECT_EQ(work.running(), 0U);
}

TEST(BackgroundWork, TheLoopContinuesMeanwhile) {
  SystemClock clock;
  EventLoop loop(clock);
  BackgroundWork work(loop);
  const auto gate = std::make_shared<std::promise<void>>();
  std::vector<int> order;
  work.start([gate] { gate->get_future().wait(); }, [&] { order.push_back(2); });
  loop.after(0, [&] {
    order.push_back(1);
    gate->set_value();
  });
  while (order.size() < 2) loop.run_once();
  EXPECT_THAT(order, ElementsAre(1, 2));
}

std::size_t open_eventfds() {
  const auto descriptors = list_directory("/proc/self/fd");
  return static_cast<std::size_t>(std::count_if(descriptors.begin(), descriptors.end(), [](const std::string& number) {
    std::error_code closed;
    return std::filesystem::read_symlink("/proc/self/fd/" + number, closed) == "anon_inode:[eventfd]";
  }));
}

TEST(BackgroundWork, BlockedWorkIsAbandonedWithTheLoop) {
  wait_for_detached_threads();
  SystemClock clock;
  EventLoop loop(clock);
  const std::size_t eventfds = open_eventfds();
  const auto gate = std::make_shared<std::promise<void>>();
  {
    BackgroundWork work(loop);
    work.start([gate] { gate->get_future().wait(); }, [] { FAIL() << "abandoned with its loop"; });
  }
  EXPECT_EQ(detached_threads(), 1U);
  gate->set_value();
  wait_for_detached_threads();
  EXPECT_EQ(open_eventfds(), eventfds) << "the thread releases what it shared";
  loop.poll();
}

TEST(BackgroundWork, AnExceptionLeavesTheLoopAndOtherResultsAreDelivered) {
  SystemClock clock;
  EventLoop loop(clock);
  BackgroundWork work(loop);
  int reported = 0;
  for (int i = 0; i < 3; ++i)
    work.start([] {},
               [&] {
                 if (++reported == 1) throw std::runtime_error("no");
               });
  EXPECT_THROW(while (reported < 3) loop.run_once(), std::runtime_error);
  while (reported < 3) loop.run_once();
}

TEST(BackgroundWork, ItsThreadsBlockSignals) {
  const auto blocked = std::make_shared<std::promise<bool>>();
  ASSERT_TRUE(start_detached([blocked] {
    sigset_t set;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
    blocked->set_value(sigismember(&set, SIGINT) == 1 && sigismember(&set, SIGTERM) == 1);
  }));
  EXPECT_TRUE(blocked->get_future().get());
}

// In new processes: under ThreadSanitizer a process forked from one with threads may start no threads.
class EndProcess : public testing::Test {
 protected:
  EndProcess() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(EndProcess, EndsABlockedProcess) {
  EXPECT_EXIT(
      {
        end_process_within(1000, 7, "The store is unreachable.\n");
        while (true) ::pause();
      },
      testing::ExitedWithCode(7), "^The store is unreachable.\n$");
}

TEST_F(EndProcess, EndsWithoutWaitingForThreads) {
  EXPECT_EXIT(std::exit(end_process(3)), testing::ExitedWithCode(3), "");
  EXPECT_EXIT(
      {
        start_detached([] {
          while (true) ::pause();
        });
        end_process(4);
        std::exit(5);
      },
      testing::ExitedWithCode(4), "");
}

}  // namespace
}  // namespace metaflow::base
