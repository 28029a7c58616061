#include "runtime/supervisor/log_upload.h"

#include <gtest/gtest.h>

#include <atomic>

#include <metaflow/error.h>

#include "store/memory/memory_storage.h"

namespace metaflow::runtime {
namespace {

using store::LogSource;
using store::Stream;

/// Fails the first `failures` writes.
class FailingStorage : public store::MemoryStorage {
 public:
  explicit FailingStorage(int failures) : failures_(failures) {}
  void put(std::span<const store::Object> objects) override {
    ++tries;
    if (failures_-- > 0) throw Error(ErrorCode::data_store, "the store is unreachable");
    MemoryStorage::put(objects);
  }
  std::atomic<int> tries = 0;

 private:
  std::atomic<int> failures_;
};

const store::TaskRef kTask{"1", "start", "2"};

std::string stored(const std::shared_ptr<store::Storage>& storage, Stream stream) {
  const auto log = store::FlowStore(storage, "F").read_log(kTask, 0, LogSource::task, stream);
  return log ? std::string(log->text()) : "";
}

LogUpload::Open opener(const std::shared_ptr<store::Storage>& storage) {
  return [storage] { return std::make_unique<store::FlowStore>(storage, "F"); };
}

TEST(LogUpload, NewestLogIsStored) {
  const auto storage = std::make_shared<FailingStorage>(0);
  LogUpload upload(opener(storage), kTask, 0);
  upload.offer(Stream::out, base::SharedBytes(std::string("a\n")));
  upload.offer(Stream::out, base::SharedBytes(std::string("a\nb\n")));
  upload.offer(Stream::err, base::SharedBytes(std::string("e\n")));
  EXPECT_FALSE(upload.finish());
  EXPECT_EQ(stored(storage, Stream::out), "a\nb\n");
  EXPECT_EQ(stored(storage, Stream::err), "e\n");
}

TEST(LogUpload, FailedUploadIsRetried) {
  const auto storage = std::make_shared<FailingStorage>(2);
  LogUpload upload(opener(storage), kTask, 0);
  upload.offer(Stream::out, base::SharedBytes(std::string("a\n")));
  EXPECT_FALSE(upload.finish());
  EXPECT_EQ(stored(storage, Stream::out), "a\n");
}

TEST(LogUpload, ReportsTheError) {
  const auto storage = std::make_shared<FailingStorage>(1000);
  LogUpload upload(opener(storage), kTask, 0);
  upload.offer(Stream::out, base::SharedBytes(std::string("a\n")));
  EXPECT_EQ(upload.finish(), "the store is unreachable");
  EXPECT_LE(storage->tries, 5);
}

TEST(LogUpload, NothingToDo) {
  LogUpload upload(
      []() -> std::unique_ptr<store::FlowStore> { throw Error(ErrorCode::data_store, "must not be opened"); }, kTask,
      0);
  EXPECT_FALSE(upload.busy());
  EXPECT_FALSE(upload.finish());
}

TEST(LogUpload, DelaysGrow) {
  EXPECT_NEAR(static_cast<double>(upload_pause(0)), 250'000, 5'000);
  EXPECT_LT(upload_pause(300'000'000), 400'000);
  EXPECT_GT(upload_pause(1'800'000'000), 29'000'000);
}

}  // namespace
}  // namespace metaflow::runtime
