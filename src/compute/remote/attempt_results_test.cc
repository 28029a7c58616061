#include "compute/remote/attempt_results.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <map>
#include <utility>

#include <metaflow/error.h>

#include "base/background_work.h"
#include "base/clock.h"
#include "base/testing.h"
#include "base/text.h"
#include "store/local/local_storage.h"
#include "store/memory/memory_storage.h"

namespace metaflow::compute {
namespace {

using store::LogSource;
using store::Stream;

constexpr int kAll = 100;

class ResultReaderTest : public testing::Test {
 protected:
  ResultReaderTest() : store_(open()) {}
  ~ResultReaderTest() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<store::FlowStore> open() {
    return std::make_unique<store::FlowStore>(std::make_shared<store::LocalStorage>(root_), "F");
  }
  static store::TaskRef task(int number) { return {"1", "work", std::to_string(number)}; }

  void leave(int number, bool committed) {
    const std::string line = "written by " + std::to_string(number) + "\n";
    const auto text = base::as_bytes(line);
    store::ExitReport report;
    report.committed = committed;
    store_->write_log(task(number), 0, LogSource::task, Stream::out, store::Pieces(&text, 1));
    store_->write_exit_report(task(number), 0, report);
  }

  std::map<int, AttemptResult> read(bool killed) {
    std::map<int, AttemptResult> left;
    ResultReader reader(
        loop_, [this] { return open(); }, 2);
    for (int i = 0; i < kAll; ++i) {
      auto done = [&left, i](AttemptResult&& result) { left[i] = std::move(result); };
      killed ? reader.read_killed(task(i), 0, true, done) : reader.read(task(i), 0, true, done);
    }
    while (left.size() < kAll) loop_.run_once();
    return left;
  }

  std::string root_ = testing::TempDir() + "results";
  base::SystemClock clock_;
  base::EventLoop loop_{clock_};
  std::unique_ptr<store::FlowStore> store_;
};

TEST_F(ResultReaderTest, ManyAreReadTogether) {
  for (int i = 0; i < kAll; i += 3) leave(i, i % 2 == 0);
  store_->mark_done(task(1), 0);
  for (const bool killed : {false, true}) {
    for (const auto& [i, left] : read(killed)) {
      EXPECT_EQ(left.failure, "");
      EXPECT_EQ(left.report.has_value(), i % 3 == 0) << i;
      EXPECT_EQ(left.out.has_value(), i % 3 == 0) << i;
      EXPECT_EQ(left.done, i == 1 || (i % 3 == 0 && i % 2 == 0)) << i;
      EXPECT_FALSE(left.data);
    }
  }
}

TEST_F(ResultReaderTest, DamagedResultDoesNotAffectOthers) {
  for (int i = 0; i < kAll; ++i) leave(i, true);
  put(store_->storage(), "F/1/work/17/0.exit.json", "{");
  for (const auto& [i, left] : read(true)) {
    EXPECT_EQ(left.failure.empty(), i != 17) << left.failure;
    EXPECT_EQ(left.done, i != 17);
  }
}

/// A store that does not answer until a test lets it.
class SilentStorage : public store::MemoryStorage {
 public:
  explicit SilentStorage(std::shared_future<void> answers) : answers_(std::move(answers)) {}
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override {
    answers_.wait();
    return MemoryStorage::get(paths);
  }

 private:
  std::shared_future<void> answers_;
};

TEST(ResultReaderOutageTest, SilentStoreIsNotWaitedFor) {
  base::wait_for_detached_threads();
  base::SystemClock clock;
  base::EventLoop loop(clock);
  std::promise<void> answers;
  const auto storage = std::make_shared<SilentStorage>(answers.get_future().share());
  {
    ResultReader reader(
        loop, [storage] { return std::make_unique<store::FlowStore>(storage, "F"); }, 2);
    for (int i = 0; i < 5; ++i)
      reader.read({"1", "work", std::to_string(i)}, 0, true,
                  [](AttemptResult&&) { FAIL() << "the reader is destroyed"; });
  }
  EXPECT_GT(base::detached_threads(), 0U);
  answers.set_value();
  base::wait_for_detached_threads();
  loop.poll();
}

/// A store that refuses everything.
class RefusingStorage : public store::MemoryStorage {
 public:
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string>) override {
    ++tries;
    throw Error(ErrorCode::data_store, "no connection");
  }
  int tries = 0;
};

TEST(ResultReaderOutageTest, UnreachableStoreIsNotReadForEach) {
  base::SystemClock clock;
  base::EventLoop loop(clock);
  const auto storage = std::make_shared<RefusingStorage>();
  ResultReader reader(
      loop, [&] { return std::make_unique<store::FlowStore>(storage, "F"); }, 0);
  int reported = 0;
  for (int i = 0; i < kAll; ++i) {
    reader.read({"1", "work", std::to_string(i)}, 0, true, [&](AttemptResult&& left) {
      EXPECT_NE(left.failure.find("no connection"), std::string::npos);
      ++reported;
    });
  }
  while (reported < kAll) loop.run_once();
  EXPECT_LT(storage->tries, 10);
}

/// A store in which an attempt commits while its objects are read.
class RacingStorage : public store::MemoryStorage {
 public:
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override {
    auto contents = MemoryStorage::get(paths);
    for (std::size_t i = 0; i < paths.size(); ++i) {
      if (paths[i].ends_with("data.json") && std::exchange(first_, false)) contents[i].reset();
    }
    return contents;
  }

 private:
  bool first_ = true;
};

TEST(ResultReaderRaceTest, ResultCommittedDuringTheReadHasItsData) {
  base::SystemClock clock;
  base::EventLoop loop(clock);
  const auto storage = std::make_shared<RacingStorage>();
  store::FlowStore store(storage, "F");
  const store::TaskRef task{"1", "work", "2"};
  store.write_data(task, store::TaskData{});
  store::ExitReport report;
  report.committed = true;
  store.write_exit_report(task, 0, report);
  ResultReader reader(
      loop, [&] { return std::make_unique<store::FlowStore>(storage, "F"); }, 1);
  std::optional<AttemptResult> left;
  reader.read(task, 0, false, [&](AttemptResult&& result) { left = std::move(result); });
  while (!left) loop.run_once();
  EXPECT_TRUE(left->done);
  EXPECT_TRUE(left->data);
}

}  // namespace
}  // namespace metaflow::compute
