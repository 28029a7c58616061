#include "base/background_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/testing.h"

namespace metaflow::base {
namespace {

using testing::ElementsAre;

void wait_for_detached(std::size_t left) {
  while (detached_threads() > left) std::this_thread::yield();
}

TEST(BackgroundWork, IsDoneByAnotherThreadAndToldInTheLoop) {
  SystemClock clock;
  EventLoop loop(clock);
  BackgroundWork work(loop);
  const auto here = std::this_thread::get_id();
  auto there = std::make_shared<std::thread::id>();
  bool told = false;
  work.start([there] { *there = std::this_thread::get_id(); },
             [&] {
               EXPECT_EQ(std::this_thread::get_id(), here);
               told = true;
             });
  EXPECT_EQ(work.running(), 1U);
  while (!told) loop.run_once();
  EXPECT_NE(*there, here);
  EXPECT_EQ(work.running(), 0U);
}

TEST(BackgroundWork, TheLoopGoesOnMeanwhile) {
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

TEST(BackgroundWork, WhatHangsIsNotWaitedFor) {
  SystemClock clock;
  EventLoop loop(clock);
  const auto gate = std::make_shared<std::promise<void>>();
  const std::size_t before = detached_threads();
  {
    BackgroundWork work(loop);
    work.start([gate] { gate->get_future().wait(); }, [] { FAIL() << "nobody waits for it any more"; });
  }
  EXPECT_GE(detached_threads(), 1U);  // those of other tests come to an end meanwhile
  gate->set_value();
  wait_for_detached(before);
  loop.poll();
}

TEST(BackgroundWork, WhatIsThrownComesOutOfTheLoopAndTheOthersAreTold) {
  SystemClock clock;
  EventLoop loop(clock);
  BackgroundWork work(loop);
  int told = 0;
  for (int i = 0; i < 3; ++i)
    work.start([] {},
               [&] {
                 if (++told == 1) throw std::runtime_error("no");
               });
  EXPECT_THROW(while (told < 3) loop.run_once(), std::runtime_error);
  while (told < 3) loop.run_once();
}

TEST(BackgroundWork, SignalsAreNotForItsThreads) {
  const auto blocked = std::make_shared<std::promise<bool>>();
  ASSERT_TRUE(start_detached([blocked] {
    sigset_t set;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
    blocked->set_value(sigismember(&set, SIGINT) == 1 && sigismember(&set, SIGTERM) == 1);
  }));
  EXPECT_TRUE(blocked->get_future().get());
}

// In processes of their own, started anew: one that is forked off other threads may start none under ThreadSanitizer.
class EndProcess : public testing::Test {
 protected:
  EndProcess() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(EndProcess, EndsWhateverIsWaitedFor) {
  EXPECT_EXIT(
      {
        end_process_within(1000, 7, "The store is away.\n");
        while (true) ::pause();
      },
      testing::ExitedWithCode(7), "^The store is away.\n$");
}

TEST_F(EndProcess, LeavesThreadsAlone) {
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
