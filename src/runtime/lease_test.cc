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
#include "store/memory/memory_storage.h"

namespace metaflow::runtime {
namespace {

using base::FakeClock;
using base::Json;
using base::ProcessState;
using testing::HasSubstr;

using State = LeaseWatch::State;

/// Calls a function before an operation, once.
class HookedStorage : public store::MemoryStorage {
 public:
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override {
    disturb(before_get);
    return MemoryStorage::get(paths);
  }
  void put(std::span<const store::Object> objects) override {
    disturb(before_put);
    MemoryStorage::put(objects);
  }
  bool create(const store::Object& object) override {
    disturb(before_create);
    return MemoryStorage::create(object);
  }
  std::function<void()> before_get, before_put, before_create;

 private:
  static void disturb(std::function<void()>& what) {
    if (const auto now = std::exchange(what, nullptr)) now();
  }
};

class FakeProcesses : public ProcessTable {
 public:
  explicit FakeProcesses(std::string host) : host_(std::move(host)) {}
  LeaseHolder self() override { return {.host = host_, .boot = host_, .pid = 4711}; }
  base::ProcessState state_of(const LeaseHolder& holder) override {
    return holder.boot == host_ ? state : ProcessState::unknown;
  }
  ProcessState state = ProcessState::lives;

 private:
  std::string host_;
};

class LeaseTest : public testing::Test {
 protected:
  LeaseWatch watch(FakeProcesses& processes) { return {LeaseSite{storage_, clock_, processes}, name_}; }
  std::shared_ptr<Lease> take(FakeProcesses& processes, Lease::Taking how = Lease::Taking::if_free) {
    LeaseWatch watching = watch(processes);
    return Lease::take(watching, "me", "17", how);
  }
  std::string refusal(FakeProcesses& processes) {
    try {
      take(processes);
      return {};
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_command);
      return error.what();
    }
  }
  std::string path(int number) const { return name_.path(number); }
  Json stored(int number) { return Json::parse_or_throw(store::get(storage_, path(number))->text()); }

  HookedStorage storage_;
  FakeClock clock_;
  FakeProcesses here_{"here"};
  FakeProcesses there_{"there"};
  LeaseName name_{"F", "17"};
};

TEST_F(LeaseTest, LeaseThatDoesNotExistIsFree) {
  EXPECT_FALSE(lease_holder({storage_, clock_}, name_));
  EXPECT_EQ(watch(here_).look().state, State::free);
}

TEST_F(LeaseTest, OneHolderAtATime) {
  const auto mine = take(here_);
  EXPECT_TRUE(mine->holds());
  EXPECT_EQ(path(0), "F/17/_meta/lease_execute.0.json");
  EXPECT_EQ(lease_holder({storage_, clock_, here_}, name_)->name(), "me@here (pid 4711)");
  EXPECT_THAT(refusal(here_), HasSubstr("Run F/17 is being executed by me@here (pid 4711) since "));
  EXPECT_THAT(refusal(here_), HasSubstr("stop the process: kill 4711"));
  EXPECT_THAT(refusal(there_), HasSubstr("`resume --take-over` takes over the run"));
}

TEST_F(LeaseTest, RefusalNamesTheContinuingRun) {
  const auto mine = take(here_);
  mine->set_run("23");
  mine->renew(storage_);
  EXPECT_THAT(refusal(here_), HasSubstr("Run F/17 is being resumed by me@here"));
  EXPECT_THAT(refusal(here_), HasSubstr(", as run 23"));
}

TEST_F(LeaseTest, ReleasedLeaseIsFree) {
  take(here_)->release(storage_);
  EXPECT_FALSE(lease_holder({storage_, clock_, there_}, name_));
  const auto next = take(there_);
  EXPECT_TRUE(store::exists(storage_, path(1))) << "the next number";
}

/// A process that waited for the lease would execute the same work again.
TEST_F(LeaseTest, RunContinuedDuringTheWaitIsRefused) {
  FakeProcesses away("away");
  take(away);  // and dies there
  LeaseWatch waiting = watch(here_);
  EXPECT_EQ(waiting.look().state, State::silent);
  const auto faster = take(there_, Lease::Taking::at_once);
  faster->set_run("23");
  faster->renew(storage_);
  LeaseWatch late = watch(here_);
  EXPECT_EQ(late.look().state, State::silent);
  faster->release(storage_);
  for (LeaseWatch* const each : {&waiting, &late}) {
    EXPECT_EQ(each->look().state, State::continued);
    EXPECT_THAT(
        [&] { await_lease(*each, nullptr, nullptr); },
        testing::ThrowsMessage<Error>(HasSubstr("Run F/17 was resumed by me@there (pid 4711) meanwhile, as run 23")));
    EXPECT_THROW(Lease::take(*each, "me", "24"), Error);
  }
  EXPECT_EQ(refusal(here_), "") << "a new watcher sees the run that continues this one";
}

TEST_F(LeaseTest, RunContinuedByADeadProcessIsRefusedToo) {
  LeaseWatch waiting = watch(here_);
  EXPECT_EQ(waiting.look().state, State::free);
  const auto faster = take(here_);
  faster->set_run("23");
  faster->renew(storage_);
  EXPECT_EQ(waiting.look().state, State::held);
  here_.state = ProcessState::ended;
  EXPECT_EQ(waiting.look().state, State::continued);
  faster->set_run("17");
  faster->renew(storage_);
  EXPECT_EQ(waiting.look().state, State::free) << "its results are in the run";
}

TEST_F(LeaseTest, ProvenEndIsKnownAtOnce) {
  const auto lease = take(here_);
  here_.state = ProcessState::ending;
  EXPECT_EQ(watch(here_).look().state, State::ending);
  here_.state = ProcessState::unknown;
  EXPECT_EQ(watch(here_).look().state, State::silent) << "the end of an invisible process is not proven";
  here_.state = ProcessState::ended;
  EXPECT_EQ(watch(here_).look().state, State::free);
  EXPECT_EQ(refusal(here_), "");
}

TEST_F(LeaseTest, StateOfProcessesOfThisMachineIsKnown) {
  ProcessTable& table = process_table();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  LeaseHolder self = table.self();
  EXPECT_EQ(table.state_of(self), ProcessState::lives);
  LeaseHolder other = self;
  other.pid_began += 1;
  EXPECT_EQ(table.state_of(other), ProcessState::ended) << "pids are reused";
  ::waitpid(child, nullptr, 0);
  other = self;
  other.pid = child;
  EXPECT_EQ(table.state_of(other), ProcessState::ended);
  other.boot = "another";
  EXPECT_EQ(table.state_of(other), ProcessState::unknown) << "also on a host of the same name";
  other = self;
  other.pid_space = "pid:[1]";
  EXPECT_EQ(table.state_of(other), ProcessState::unknown);
  other = self;
  other.pid = -1;
  EXPECT_EQ(table.state_of(other), ProcessState::unknown);
}

TEST_F(LeaseTest, WatcherWaitsAWholeTermByItsOwnClock) {
  const auto lease = take(there_);
  clock_.now += 1'000 * LeaseTimes::kTerm;  // since the last renewal, which proves nothing: clocks differ
  LeaseWatch watching = watch(here_);
  EXPECT_EQ(watching.look().state, State::silent);
  clock_.now += LeaseTimes::kTerm - 1;
  EXPECT_EQ(watching.look().state, State::silent);
  EXPECT_EQ(watching.look().left, 1);
  clock_.now += 1;
  EXPECT_EQ(watching.look().state, State::free);
  EXPECT_EQ(watch(here_).look().state, State::silent) << "another watcher starts from zero";
}

TEST_F(LeaseTest, ChangeProvesThatTheHolderLives) {
  const auto lease = take(there_);
  LeaseWatch watching = watch(here_);
  EXPECT_EQ(watching.look().state, State::silent);
  lease->renew(storage_);  // within the same microsecond
  EXPECT_EQ(watching.look().state, State::held);
  clock_.now += LeaseTimes::kTerm;
  EXPECT_EQ(watching.look().state, State::held);
}

TEST_F(LeaseTest, UnreadableLeaseIsWatchedToo) {
  for (const char* left : {"", "{", "[]", "{}", R"({"pid": "x"})", "\xff"}) {
    HookedStorage storage;
    store::put(storage, path(0), left);
    LeaseWatch watching({storage, clock_, here_}, name_);
    EXPECT_EQ(watching.look().state, State::silent) << "it may be half-written: " << left;
    EXPECT_THAT(watching.look().holder->name(), HasSubstr("unknown process"));
    clock_.now += LeaseTimes::kTerm;
    EXPECT_EQ(watching.look().state, State::free);
  }
  Json json = Json::parse_or_throw("{}");
  const auto lease = take(here_);
  json = stored(0);
  json.set("run", "17 --with x");
  store::put(storage_, path(0), json.dump());
  EXPECT_EQ(watch(here_).look().state, State::silent) << "not a run id";
}

TEST_F(LeaseTest, AwaitLease) {
  std::int64_t waited = 0;
  int told = 0;
  auto await = [&](FakeProcesses& processes, const std::function<void()>& meanwhile) {
    waited = told = 0;
    LeaseWatch watching = watch(processes);
    await_lease(
        watching,
        [&](std::int64_t time) {
          waited += time;
          clock_.now += time;
          meanwhile();
        },
        [&](const LeaseWatch::View& view) {
          ++told;
          EXPECT_EQ(view.left, LeaseTimes::kTerm);
        });
  };
  await(here_, [] {});
  EXPECT_EQ(waited, 0);
  const auto lease = take(there_);
  await(here_, [] {});
  EXPECT_EQ(waited, LeaseTimes::kTerm) << "it is dead";
  EXPECT_EQ(told, 1);
  EXPECT_THROW(await(here_, [&] { lease->renew(storage_); }), Error);
  EXPECT_EQ(waited, 3'000'000) << "refused at the first change";
  await(there_, [&] { there_.state = waited < 100'000 ? ProcessState::ending : ProcessState::ended; });
  EXPECT_EQ(waited, 100'000) << "its process was just killed";
  EXPECT_EQ(told, 0);
  there_.state = ProcessState::lives;
  EXPECT_THROW(await(there_, [] {}), Error);
  EXPECT_LE(waited, 1'000'000) << "a live process is refused after a moment";
}

TEST_F(LeaseTest, OneOfTwoWins) {
  std::shared_ptr<Lease> winner;
  storage_.before_create = [&] { winner = take(there_); };
  EXPECT_THAT(refusal(there_), HasSubstr("by me@there"));
  EXPECT_TRUE(winner->holds());
}

// --- the holder's side

TEST_F(LeaseTest, HolderStopsBeforeOthersMayTakeOver) {
  const auto lease = take(here_);
  LeaseWatch watching = watch(there_);
  watching.look();
  clock_.now += LeaseTimes::kHolderLimit;
  EXPECT_TRUE(lease->holds());
  clock_.now += 1;
  EXPECT_FALSE(lease->holds());
  EXPECT_FALSE(lease->loss()) << "not yet";
  clock_.now += LeaseTimes::kMargin - 2;
  EXPECT_EQ(watching.look().state, State::silent);
}

TEST_F(LeaseTest, RenewalCountsFromItsBegin) {
  const auto lease = take(here_);
  clock_.now += LeaseTimes::kRenewEvery;
  storage_.before_put = [&] { clock_.now += 10'000'000; };
  lease->renew(storage_);
  clock_.now += LeaseTimes::kHolderLimit - 10'000'000;
  EXPECT_TRUE(lease->holds());
  clock_.now += 1;
  EXPECT_FALSE(lease->holds());
}

TEST_F(LeaseTest, SlowRenewalDoesNotCount) {
  const auto lease = take(here_);
  clock_.now += LeaseTimes::kHolderLimit - 1;
  storage_.before_put = [&] { clock_.now += 2; };
  lease->renew(storage_);
  EXPECT_FALSE(lease->holds()) << "a watcher may be about to take over";
  lease->renew(storage_);
  EXPECT_TRUE(lease->holds());
  EXPECT_TRUE(store::exists(storage_, path(1))) << "regained by the next number";
}

TEST_F(LeaseTest, SuspendedHolderRegainsTheLeaseOrFindsTheNewHolder) {
  const auto sleeper = take(here_);
  clock_.now += 10 * LeaseTimes::kTerm;
  EXPECT_FALSE(sleeper->holds());
  sleeper->notice();
  sleeper->renew(storage_);
  EXPECT_TRUE(sleeper->holds()) << "no other process has taken it";

  LeaseWatch watching = watch(there_);
  watching.look();
  clock_.now += LeaseTimes::kTerm;
  const auto next = Lease::take(watching, "other", "23");
  sleeper->renew(storage_);
  EXPECT_FALSE(sleeper->holds());
  EXPECT_EQ(sleeper->loss()->to->name(), "other@there (pid 4711)");
  EXPECT_EQ(sleeper->loss()->to->run, "23");
  const std::string theirs = stored(2).dump();
  sleeper->renew(storage_);
  sleeper->release(storage_);
  EXPECT_EQ(stored(2).dump(), theirs) << "the lease of another process is not overwritten";
  EXPECT_FALSE(store::exists(storage_, path(3)));
  EXPECT_TRUE(next->holds());
}

TEST_F(LeaseTest, TakeOverIsFoundAtTheNextRenewal) {
  const auto first = take(here_);
  const auto second = take(there_, Lease::Taking::at_once);
  first->renew(storage_);
  EXPECT_EQ(first->loss()->to->host, "there");
  EXPECT_FALSE(first->holds());
}

TEST_F(LeaseTest, LossNamesTheLastHolder) {
  const auto first = take(here_);
  take(there_, Lease::Taking::at_once)->release(storage_);
  LeaseWatch watching = watch(there_);
  const auto third = Lease::take(watching, "third", "23");
  first->renew(storage_);
  EXPECT_EQ(first->loss()->to->user, "third");
}

TEST_F(LeaseTest, LeaseOfOurNumberWithAnotherTokenIsALoss) {
  const auto lease = take(here_);
  Json json = stored(0);
  json.set("token", "another");
  store::put(storage_, path(0), json.dump());
  lease->renew(storage_);
  EXPECT_TRUE(lease->loss());
}

TEST_F(LeaseTest, RegainWhoseAnswerWasLostDoesNotCount) {
  const auto lease = take(here_);
  clock_.now += LeaseTimes::kTerm;
  const std::string ours = stored(0).dump();
  store::put(storage_, path(1), ours);  // the answer to this write was lost
  lease->renew(storage_);
  EXPECT_FALSE(lease->loss());
  EXPECT_FALSE(lease->holds());
  lease->renew(storage_);
  EXPECT_TRUE(lease->holds());
  EXPECT_TRUE(store::exists(storage_, path(2)));
}

TEST_F(LeaseTest, StoreUnreachableForTooLongIsALoss) {
  const auto lease = take(here_);
  clock_.now += LeaseTimes::kRenewEvery;
  storage_.before_get = [] { throw Error(ErrorCode::data_store, "no connection"); };
  EXPECT_THROW(lease->renew(storage_), Error);
  EXPECT_TRUE(lease->holds());
  clock_.now += LeaseTimes::kHolderLimit;
  lease->notice();
  clock_.now += LeaseTimes::kRegain;
  lease->notice();
  EXPECT_FALSE(lease->loss());
  clock_.now += 1;
  lease->notice();
  EXPECT_TRUE(lease->loss());
  EXPECT_FALSE(lease->loss()->to);
  lease->renew(storage_);
  EXPECT_FALSE(lease->holds()) << "a loss is permanent";
}

TEST_F(LeaseTest, VanishedLeaseIsAnError) {
  const auto lease = take(here_);
  HookedStorage empty;
  EXPECT_THROW(lease->renew(empty), Error);
  EXPECT_TRUE(empty.list("").empty());
}

}  // namespace
}  // namespace metaflow::runtime
