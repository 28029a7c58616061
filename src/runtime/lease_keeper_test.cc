#include "runtime/lease_keeper.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <thread>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "runtime/lease_record.h"
#include "store/local/local_storage.h"
#include "store/memory/memory_storage.h"

namespace metaflow::runtime {
namespace {

/// A clock that is ahead, as after a suspension.
class LateClock : public base::SystemClock {
 public:
  std::int64_t boot_microseconds() override { return SystemClock::boot_microseconds() + ahead; }
  std::atomic<std::int64_t> ahead = 0;
};

class LeaseKeeperTest : public testing::Test {
 protected:
  LeaseKeeperTest() {
    std::string name = testing::TempDir() + "lease_XXXXXX";
    directory_ = ::mkdtemp(name.data());
    storage_ = open();
  }
  ~LeaseKeeperTest() override { std::filesystem::remove_all(directory_); }
  std::unique_ptr<store::Storage> open() const { return std::make_unique<store::LocalStorage>(directory_); }
  std::shared_ptr<Lease> take() {
    LeaseWatch watch({*storage_, clock_}, name_);
    return Lease::take(watch, "me", "17");
  }
  static void wait(const LeaseKeeper& keeper) {
    pollfd event{keeper.event(), POLLIN, 0};
    EXPECT_EQ(::poll(&event, 1, 60'000), 1);
  }

  std::string directory_;
  std::unique_ptr<store::Storage> storage_;
  LateClock clock_;
  LeaseName name_{"F", "17"};
};

TEST_F(LeaseKeeperTest, LeaseIsRegainedAtOnceAfterASuspension) {
  LeaseKeeper keeper(*storage_, [this] { return open(); });
  keeper.add(take());
  EXPECT_TRUE(keeper.holds());
  clock_.ahead = 2 * LeaseTimes::kTerm;
  EXPECT_FALSE(keeper.holds());
  keeper.notice();
  wait(keeper);
  EXPECT_TRUE(keeper.holds());
  EXPECT_FALSE(keeper.loss());
}

TEST_F(LeaseKeeperTest, LossIsReported) {
  LeaseKeeper keeper(*storage_, [this] { return open(); });
  keeper.add(take());
  LeaseWatch watch({*storage_, clock_}, name_);
  const auto other = Lease::take(watch, "other", "23", Lease::Taking::at_once);
  clock_.ahead = LeaseTimes::kHolderLimit + 1'000'000;
  keeper.notice();
  wait(keeper);
  EXPECT_EQ(keeper.loss()->to->user, "other");
}

TEST_F(LeaseKeeperTest, ChangedLeaseIsWrittenSoon) {
  LeaseKeeper keeper(*storage_, [this] { return open(); });
  const auto lease = take();
  keeper.add(lease);
  lease->set_run("23");
  keeper.renew_soon();
  while (lease_holder({*storage_, clock_}, name_)->run != "23") std::this_thread::yield();
}

TEST_F(LeaseKeeperTest, AwaitsCertainty) {
  LeaseKeeper keeper(*storage_, [this] { return open(); });
  keeper.add(take());
  EXPECT_FALSE(keeper.await_certainty());
  clock_.ahead = 2 * LeaseTimes::kTerm;
  EXPECT_FALSE(keeper.await_certainty()) << "no other process has taken it";
  LeaseWatch watch({*storage_, clock_}, name_);
  const auto other = Lease::take(watch, "other", "23", Lease::Taking::at_once);
  clock_.ahead = 4 * LeaseTimes::kTerm;
  EXPECT_EQ(keeper.await_certainty()->to->user, "other");
}

TEST_F(LeaseKeeperTest, LeasesAreReleasedAtTheEnd) {
  {
    LeaseKeeper keeper(*storage_, [this] { return open(); });
    keeper.add(take());
  }
  EXPECT_FALSE(lease_holder({*storage_, clock_}, name_));
}

TEST_F(LeaseKeeperTest, DestructorDoesNotWaitForAStuckStore) {
  std::promise<void> stuck;
  std::promise<void> answer;
  std::promise<void> thread_ended;
  auto answered = answer.get_future().share();
  {
    std::shared_ptr<void> with_thread(nullptr, [&](void*) { thread_ended.set_value(); });
    LeaseKeeper keeper(*storage_, [&stuck, answered, with_thread]() -> std::unique_ptr<store::Storage> {
      stuck.set_value();
      answered.wait();
      throw Error(ErrorCode::data_store, "no connection");
    });
    keeper.add(take());
    clock_.ahead = 2 * LeaseTimes::kTerm;
    keeper.notice();
    stuck.get_future().wait();
    clock_.ahead = 0;
  }
  EXPECT_TRUE(lease_holder({*storage_, clock_}, name_)) << "a renewal on its way would undo a release";
  answer.set_value();
  thread_ended.get_future().wait();
}

}  // namespace
}  // namespace metaflow::runtime
