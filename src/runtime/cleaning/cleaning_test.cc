// The rules of docs/cleaning.md, one by one. cleaning_simulation_test.cc tests them together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/files.h"
#include "base/format.h"
#include "base/testing.h"
#include "base/text.h"
#include "compute/package/package.h"
#include "runtime/cleaning/run_remover.h"
#include "runtime/lease_record.h"
#include "store/local/latest_run.h"
#include "store/local/local_metadata.h"
#include "store/local/local_runs.h"
#include "store/local/local_storage.h"
#include "store/memory/memory_storage.h"

namespace metaflow::runtime {
namespace {

using store::TaskData;
using store::TaskRef;
using testing::HasSubstr;

/// Calls a function before the last look at the runs.
class InterruptedStorage : public store::MemoryStorage {
 public:
  explicit InterruptedStorage(base::Clock& clock) : MemoryStorage(clock) {}
  std::vector<std::optional<base::SharedBytes>> get_begins(std::span<const std::string> paths,
                                                           std::size_t size) override {
    if (before_removal) before_removal();
    return MemoryStorage::get_begins(paths, size);
  }
  std::function<void()> before_removal;
};

class CleaningTest : public testing::Test {
 protected:
  std::string save(const std::string& text) {
    const auto bytes = base::as_bytes(text);
    return store_.save_value(store::Pieces(&bytes, 1));
  }
  void write_task(const TaskRef& task, const std::vector<std::string>& keys) {
    TaskData data;
    for (const std::string& key : keys)
      data.artifacts.push_back({fmt::format("a{}", data.artifacts.size()), key, 1, "<class 'int'>"});
    store_.write_data(task, data);
    store_.mark_done(task, 0);
  }
  /// A run that has ended.
  void write_run(const std::string& id, const std::vector<std::string>& keys) {
    write_lease(id, {.host = "there", .run = id, .released = true});
    write_task({id, "end", "1"}, keys);
  }
  void write_lease(const std::string& id, const LeaseHolder& holder) {
    put(storage_, LeaseName{"F", id}.path(0), lease_to_json(holder));
  }
  CollectReport collect() { return BlobCollector(store_, {storage_, clock_}).collect({}); }
  /// Two passes, so far apart that everything without reference is removed.
  CollectReport collect_twice() {
    collect();
    clock_.now += 2 * CleaningTimes::kGrace;
    return collect();
  }
  bool has(const std::string& key) { return exists(storage_, store::blob_path("F/data", key)); }

  base::FakeClock clock_;
  InterruptedStorage storage_{clock_};
  store::FlowStore store_{std::shared_ptr<store::Storage>(&storage_, [](store::Storage*) {}), "F"};
};

TEST_F(CleaningTest, ValueIsRemovedInTheSecondPassAfterTheGracePeriod) {
  const std::string used = save("\x80used");
  const std::string unused = save("\x80unused");
  write_run("1", {used});
  clock_.now += 2 * CleaningTimes::kGrace;
  EXPECT_EQ(collect().waiting, 1U) << "the first pass finds it";
  clock_.now += CleaningTimes::kGrace / 2;
  EXPECT_EQ(collect().removed, 0U);
  clock_.now += CleaningTimes::kGrace;
  const CollectReport report = collect();
  EXPECT_EQ(report.removed, 1U);
  EXPECT_EQ(report.removed_bytes, 7U);
  EXPECT_TRUE(has(used));
  EXPECT_FALSE(has(unused));
}

TEST_F(CleaningTest, ReusedValueWaitsAgain) {
  const std::string key = save("\x80value");
  collect();
  clock_.now += 2 * CleaningTimes::kGrace;
  save("\x80value");
  EXPECT_EQ(collect().removed, 0U);
  clock_.now += 2 * CleaningTimes::kGrace;
  EXPECT_EQ(collect().removed, 1U);
  EXPECT_FALSE(has(key));
}

TEST_F(CleaningTest, DamagedDataStopsThePass) {
  const std::string key = save("\x80value");
  collect();
  clock_.now += 2 * CleaningTimes::kGrace;
  put(storage_, "F/7/work/3/0.data.json", "{\"version\": \"1.0\", \"obj");
  try {
    collect();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("F/7/work/3/0.data.json"));
  }
  EXPECT_TRUE(has(key));
}

TEST_F(CleaningTest, ArchivesAreKept) {
  const std::string code = save(compute::make_code_archive(
      {.sources = {{.name = "flow.txt", .source = "flow", .content = "step"}}, .script = "flow.txt", .language = "c++"},
      "me"));
  const std::string unknown = save("other");
  const CollectReport report = collect_twice();
  EXPECT_EQ(report.removed, 0U);
  EXPECT_EQ(report.archives, 2U);
  EXPECT_TRUE(has(code));
  EXPECT_TRUE(has(unknown));
}

TEST_F(CleaningTest, SeparateItemsAndIncludedFilesAreValues) {
  using namespace std::string_literals;
  const std::string items = save("mfitems1 and so on");
  const std::string file = save("\x1f\x8b\x08\x08\0\0\0\0\0\xffmetaflow_cpp included file\0\xcbH\xcd"s);
  const std::string other = save("\x1f\x8b\x08\x08\0\0\0\0\0\xffmetaflow_cpp\0\xcbH\xcd"s);
  EXPECT_EQ(collect_twice().removed, 2U);
  EXPECT_FALSE(has(items));
  EXPECT_FALSE(has(file));
  EXPECT_TRUE(has(other));
}

TEST_F(CleaningTest, ValuesThatTasksReferToAreKept) {
  const std::string items = save("mfitems1 and so on");
  const std::string file = save("\x80 a file");
  store::TaskData data;
  data.artifacts = {{"_included_f", file, 7, "<class 'bytes'>"}};
  data.items = {{"numbers", file, 7, "", items}};
  store_.write_data({"7", "work", "9"}, data);
  store_.mark_done({"7", "work", "9"}, 0);
  collect_twice();
  EXPECT_TRUE(has(items));
  EXPECT_TRUE(has(file));
}

TEST_F(CleaningTest, UnfinishedRunWithoutLeaseKeepsAllValues) {
  const std::string key = save("\x80value");
  collect();
  clock_.now += CleaningTimes::kGrace;
  write_task({"9", "start", "1"}, {});
  clock_.now += CleaningTimes::kGrace;
  EXPECT_THAT(collect().held_back, HasSubstr("Run 9 may be running"));
  EXPECT_TRUE(has(key));
  clock_.now += CleaningTimes::kQuiet;
  EXPECT_EQ(collect().held_back, "");
  EXPECT_FALSE(has(key));
}

TEST_F(CleaningTest, RunOfPythonThatBeginsMeanwhileStopsThePass) {
  const std::string key = save("\x80value");
  storage_.before_removal = [this] { put(storage_, "F/9/_parameters/1/0.attempt.json", "{}"); };
  EXPECT_THAT(collect_twice().held_back, HasSubstr("Run 9 has begun meanwhile"));
  EXPECT_TRUE(has(key));
}

TEST_F(CleaningTest, LiveRunKeepsTheValuesThatItWrote) {
  write_task({"9", "_parameters", "0"}, {});
  const std::string key = save("\x80value");
  collect();
  for (int day = 0; day < 5; ++day) {
    write_lease("9", {.host = "there", .run = "9"});
    clock_.now += CleaningTimes::kDay;
    EXPECT_EQ(collect().removed, 0U);
  }
  EXPECT_TRUE(has(key));
}

TEST_F(CleaningTest, TemporaryFilesAreRemovedWhenTheyAreOld) {
  for (const char* name : {"F/data/ab/.mf-17-0.tmp", "F/1/start/1/tmpab12_xyz", "F/1/start/1/tmp"})
    put(storage_, name, "x");
  EXPECT_EQ(collect().temporary, 0U);
  clock_.now += 2 * CleaningTimes::kGrace;
  EXPECT_EQ(collect().temporary, 2U);
  EXPECT_TRUE(exists(storage_, "F/1/start/1/tmp"));
}

class LocalCleaningTest : public testing::Test {
 protected:
  LocalCleaningTest() {
    std::string name = testing::TempDir() + "cleaning_XXXXXX";
    directory_ = ::mkdtemp(name.data());
    root_ = directory_ + "/.metaflow";
    storage_ = std::make_shared<store::LocalStorage>(root_);
    store_.emplace(storage_, "F");
    metadata_.emplace(root_);
  }
  ~LocalCleaningTest() override { std::filesystem::remove_all(directory_); }
  LocalCleaningTest(const LocalCleaningTest&) = delete;

  std::string new_run() {
    store::LocalMetadataWriter writer(root_, "F", "me", "local", root_, clock_);
    const std::string run = writer.new_run({}, {});
    store_->write_data({run, "end", "1"}, {});
    store_->mark_done({run, "end", "1"}, 0);
    store::set_latest_run(root_, "F", run);
    return run;
  }
  RunRemover remover() { return RunRemover({*store_, *metadata_, {*storage_, clock_}, root_, "me"}); }

  base::SystemClock clock_;
  std::string directory_;
  std::string root_;
  std::shared_ptr<store::LocalStorage> storage_;
  std::optional<store::FlowStore> store_;
  std::optional<store::LocalMetadataReader> metadata_;
};

TEST_F(LocalCleaningTest, RemovedRunLeavesNothingAndTheRunBeforeItIsTheLatest) {
  const std::string first = new_run();
  const std::string second = new_run();
  EXPECT_THAT(store::local_runs(root_, "F"), testing::ElementsAre(second, first));
  remover().remove(second);
  EXPECT_FALSE(base::exists(root_ + "/F/" + second));
  EXPECT_EQ(store::latest_run(root_, "F"), first);
  EXPECT_FALSE(metadata_->run("F", second));
  remover().remove(first);
  EXPECT_EQ(store::latest_run(root_, "F"), std::nullopt);
}

TEST_F(LocalCleaningTest, InterruptedRemovalHidesTheRunAndIsFinishedLater) {
  const std::string run = new_run();
  put(*storage_, fmt::format("F/{}/{}", run, store::kRemovedMark), "{}");
  EXPECT_FALSE(store_->has_run(run));
  const CollectReport report = BlobCollector(*store_, {*storage_, clock_}).collect({});
  EXPECT_THAT(report.half_removed, testing::ElementsAre(run));
  remover().remove(run);
  EXPECT_FALSE(base::exists(root_ + "/F/" + run));
}

TEST_F(LocalCleaningTest, LinkInPlaceOfARunIsNotRemovedNorPassed) {
  const std::string run = new_run();
  const std::string outside = directory_ + "/outside";
  base::create_file(outside + "/_meta/_self.json", "{}");
  base::create_file(outside + "/thesis/chapter", "1");
  std::filesystem::create_directory_symlink(outside, root_ + "/F/17");
  const IndexedRun indexed = remover().examine("17");
  EXPECT_THAT(remover().obstacle("17", indexed, clock_.wall_microseconds(), true), HasSubstr("a link or a file"));
  EXPECT_THROW(remover().remove("17"), Error);
  EXPECT_TRUE(base::exists(outside + "/_meta/_self.json"));
  EXPECT_TRUE(base::exists(outside + "/thesis/chapter"));
}

TEST_F(LocalCleaningTest, FilesWithOddNamesDoNotStopTheCollector) {
  for (const char* name : {"/.removing", "/x.removing", "/_meta.removing", "/_meta", "/..removing"})
    base::create_file(root_ + "/F/data/aa" + name, "x");
  EXPECT_EQ(BlobCollector(*store_, {*storage_, clock_}).collect({}).removed, 0U);
}

TEST_F(LocalCleaningTest, FilesThatAreNotOursAreRemovedWithTheirRun) {
  const std::string run = new_run();
  for (const char* name : {"a\nb", "start/\x1b]0;x", "end/1/.mf-1-1.tmp"})
    base::create_file(root_ + "/F/" + run + "/" + name, "x");
  base::create_file(root_ + "/F/" + run + "/\x01/.mf-1-1.tmp", "x");
  BlobCollector(*store_, {*storage_, clock_}).collect({});
  remover().remove(run);
  EXPECT_FALSE(base::exists(root_ + "/F/" + run));
}

TEST_F(LocalCleaningTest, RunIsRemovedFromAFullDisk) {
  const std::string run = new_run();
  put(*storage_, "F/" + run + "/end/1/0.task_stdout.log", "many lines");
  base::set_failure_point("create:ENOSPC:1");
  remover().remove(run);
  base::set_failure_point("create:ENOSPC:1:sticky");
  EXPECT_GT(storage_time(*store_), 1'700'000'000'000'000);
  EXPECT_EQ(BlobCollector(*store_, {*storage_, clock_}).collect({}).removed, 0U);
  base::set_failure_point("");
  EXPECT_FALSE(base::exists(root_ + "/F/" + run));
}

TEST_F(LocalCleaningTest, FilesThatAKilledCollectorHadSetAsideAreRestored) {
  const auto bytes = base::as_bytes("\x80value");
  const std::string key = store_->save_value(store::Pieces(&bytes, 1));
  const std::string path = fmt::format("{}/{}", root_, store::blob_path("F/data", key));
  std::filesystem::rename(path, path + ".removing");
  std::filesystem::rename(path + "_meta", path + "_meta.removing");
  BlobCollector collector(*store_, {*storage_, clock_});
  collector.collect({});
  collector.collect({});
  EXPECT_EQ(base::read_file(path)->text(), "\x80value");
  EXPECT_TRUE(base::exists(path + "_meta"));
  EXPECT_FALSE(base::exists(path + ".removing"));
  EXPECT_FALSE(base::exists(path + "_meta.removing"));
}

TEST_F(LocalCleaningTest, RunThatIsExecutedCannotBeRemoved) {
  const std::string run = new_run();
  const auto lease = [&] {
    LeaseWatch watch({*storage_, clock_}, {"F", run});
    return Lease::take(watch, "me", run);
  }();
  const std::int64_t now = storage_time(*store_);
  EXPECT_THAT(remover().obstacle(run, remover().examine(run), now, true), HasSubstr("being executed"));
  lease->release(*storage_);
  EXPECT_EQ(remover().obstacle(run, remover().examine(run), now, false), "");
}

}  // namespace
}  // namespace metaflow::runtime
