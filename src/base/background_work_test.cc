#include "base/background_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
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
  EXPECT_EQ(detached_threads(), before + 1);
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

/// The exit status of a child that does this, and what it wrote to standard error.
std::pair<int, std::string> in_child(const std::function<int()>& what) {
  ReadPipe pipe;
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe.in.get(), STDERR_FILENO);
    std::_Exit(what());
  }
  pipe.in.reset();
  std::string words = read_bytes(pipe.out.get(), 1000);
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), words};
}

TEST(EndProcess, EndsWhateverIsWaitedFor) {
  const auto [status, words] = in_child([] {
    end_process_within(1000, 7, "The store is away.\n");
    while (true) ::pause();
    return 0;
  });
  EXPECT_EQ(status, 7);
  EXPECT_EQ(words, "The store is away.\n");
}

TEST(EndProcess, LeavesThreadsAlone) {
  EXPECT_EQ(in_child([] { return end_process(3); }).first, 3);
  const auto [status, words] = in_child([] {
    start_detached([] {
      while (true) ::pause();
    });
    end_process(4);
    return 5;
  });
  EXPECT_EQ(status, 4);
}

}  // namespace
}  // namespace metaflow::base
