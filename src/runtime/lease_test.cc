#include "runtime/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "base/testing.h"
#include "base/text.h"
#include "store/memory/memory_storage.h"

namespace metaflow::runtime {
namespace {

using base::Json;
using testing::HasSubstr;

using base::FakeClock;

class LeaseTest : public testing::Test {
 protected:
  std::unique_ptr<Lease> take(const std::string& what = "execute", const std::string& for_run = "17") {
    return std::make_unique<Lease>(storage_, "F", "17", what, "me", for_run, clock_);
  }
  std::string refusal(const std::string& what = "execute") {
    try {
      take(what);
      return {};
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_command);
      return error.what();
    }
  }
  std::string path(int number) const { return fmt::format("F/17/_meta/lease_execute.{}.json", number); }
  Json stored(int number) { return Json::parse_or_throw(store::get(storage_, path(number))->text()); }
  /// Changes what the store says of a holder.
  template <class Change>
  void edit(int number, Change change) {
    Json json = stored(number);
    change(json);
    store::put(storage_, path(number), json.dump());
  }
  std::optional<LeaseHolder> holder() { return Lease::holder(storage_, "F", "17", "execute", clock_); }

  store::MemoryStorage storage_;
  FakeClock clock_;
};

TEST_F(LeaseTest, NobodyHoldsIt) {
  EXPECT_FALSE(holder());
  EXPECT_FALSE(Lease::last_holder(storage_, "F", "17", "execute"));
  EXPECT_NO_THROW(Lease::refuse_if_held(storage_, "F", "17", "execute", clock_));
}

TEST_F(LeaseTest, OneAtATime) {
  const auto mine = take();
  EXPECT_EQ(holder()->pid, ::getpid());
  EXPECT_THAT(refusal(), HasSubstr("Run F/17 is being executed by me@"));
  EXPECT_THAT(refusal(), HasSubstr("stop that process"));
  EXPECT_NO_THROW(take("resume")) << "another thing of the same run";
}

TEST_F(LeaseTest, ResumeSaysAsWhat) {
  const auto mine = take("resume", "23");
  EXPECT_THAT(refusal("resume"), HasSubstr("is being resumed by me@"));
  EXPECT_THAT(refusal("resume"), HasSubstr("as run 23"));
}

TEST_F(LeaseTest, OneForWhatIsNoRunIsNobodys) {
  const auto mine = take();
  edit(0, [](Json& json) { json.set("run", "17 --with x"); });
  EXPECT_FALSE(holder());
}

TEST_F(LeaseTest, WhatIsReleasedIsFree) {
  take().reset();
  EXPECT_FALSE(holder());
  EXPECT_TRUE(Lease::last_holder(storage_, "F", "17", "execute")->released);
  const auto next = take();
  EXPECT_TRUE(store::exists(storage_, path(1))) << "the next number";
  EXPECT_TRUE(holder());
}

TEST_F(LeaseTest, ADeadProcessHoldsNothing) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  auto lease = take();
  edit(0, [&](Json& json) { json.set("pid", child); });
  EXPECT_FALSE(holder());
  EXPECT_EQ(refusal(), "") << "taken over";
}

TEST_F(LeaseTest, AnotherProcessWithTheSameIdHoldsNothing) {
  const auto lease = take();
  edit(0, [](Json& json) { json.set("pid_began", json.get<std::uint64_t>("pid_began") + 1); });
  EXPECT_FALSE(holder());
}

TEST_F(LeaseTest, AProcessBeforeTheMachineWasStartedAnewHoldsNothing) {
  const auto lease = take();
  edit(0, [](Json& json) { json.set("boot", "another"); });
  EXPECT_FALSE(holder());
}

TEST_F(LeaseTest, ARemoteProcessLivesAsLongAsItRenews) {
  const auto lease = take();
  edit(0, [](Json& json) {
    json.set("host", "elsewhere");
    json.set("boot", "another");
  });
  clock_.now += Lease::kExpires - 1;
  EXPECT_TRUE(holder());
  EXPECT_FALSE(holder()->is_of_this_machine());
  EXPECT_THAT(refusal(), HasSubstr("@elsewhere"));
  EXPECT_THAT(refusal(), HasSubstr("Its last sign of life was 89 seconds ago; after 90 it counts as dead."));
  clock_.now += 1;
  EXPECT_FALSE(holder());
  EXPECT_EQ(refusal(), "");
}

TEST_F(LeaseTest, AnotherContainerOfThisMachineIsAskedByItsSignsOfLife) {
  const auto lease = take();
  edit(0, [](Json& json) {
    json.set("pid_space", "pid:[1]");
    json.set("pid", 1);
  });
  EXPECT_TRUE(holder());
  clock_.now += Lease::kExpires;
  EXPECT_FALSE(holder());
}

TEST_F(LeaseTest, RenewingCounts) {
  const auto lease = take();
  const std::int64_t since = clock_.now;
  clock_.now += Lease::kRenewEvery;
  base::EventLoop loop(clock_);
  lease->renew(*storage_.in_background(loop));
  EXPECT_EQ(stored(0)["renewed"], clock_.now);
  EXPECT_EQ(stored(0)["since"], since);
}

TEST_F(LeaseTest, WhatAPowerLossLeftOfItHoldsNobodyUp) {
  for (const char* left : {"", "{", "[]", "{}", R"({"pid": "x"})", "\xff"}) {
    store::put(storage_, path(0), left);
    EXPECT_FALSE(holder()) << left;
    const auto lease = take();
    EXPECT_TRUE(store::exists(storage_, path(1)));
    EXPECT_TRUE(holder());
  }
}

/// Somebody else is quicker, once.
class Race : public store::MemoryStorage {
 public:
  bool create(const store::Object& object) override {
    if (before) {
      auto run = std::move(before);
      before = nullptr;
      run();
    }
    return MemoryStorage::create(object);
  }
  std::function<void()> before;
};

TEST(LeaseRace, OfTwoOneWins) {
  Race storage;
  FakeClock clock;
  std::optional<Lease> winner;
  storage.before = [&] { winner.emplace(storage, "F", "17", "execute", "quick", "17", clock); };
  try {
    const Lease late(storage, "F", "17", "execute", "slow", "17", clock);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("by quick@"));
  }
}

/// Cannot be written any more.
class Full : public store::MemoryStorage {
 public:
  void put(std::span<const store::Object> objects) override {
    if (full) throw Error(ErrorCode::data_store, "Cannot write 'x': No space left on device");
    MemoryStorage::put(objects);
  }
  bool full = false;
};

TEST(LeaseFull, GivingItBackNeverThrows) {
  Full storage;
  FakeClock clock;
  std::optional<Lease> lease(std::in_place, storage, "F", "17", "execute", "me", "17", clock);
  storage.full = true;
  base::EventLoop loop(clock);
  EXPECT_THROW(lease->renew(*storage.in_background(loop)), Error);
  EXPECT_NO_THROW(lease.reset());
}

}  // namespace
}  // namespace metaflow::runtime
