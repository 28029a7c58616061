// LocalStorage and LinkPool beyond the contract of Storage, which storage_test.cc tests.
#include "store/local/local_storage.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/file_tree.h"
#include "base/files.h"
#include "base/format.h"
#include "base/text.h"
#include "store/local/link_pool.h"

namespace metaflow::store {
namespace {

std::string fresh_directory() {
  std::string name = testing::TempDir() + "storage_XXXXXX";
  return ::mkdtemp(name.data());
}

TEST(LocalStorage, ReusedBlobGetsANewTime) {
  const std::string directory = fresh_directory();
  LocalStorage storage(directory);
  const auto content = base::as_bytes("hello");
  const std::string path = directory + "/" + blob_path("F/data", storage.save_blob("F/data", {&content, 1}, -1));
  const std::array<timespec, 2> old{timespec{1'000'000'000, 0}, timespec{1'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), old.data(), 0), 0);
  storage.save_blob("F/data", {&content, 1}, -1);
  EXPECT_GT(base::file_status(path)->modified, 1'700'000'000'000'000);
  std::filesystem::remove_all(directory);
}

TEST(LocalStorage, RemovalDoesNotFollowLinks) {
  const std::string directory = fresh_directory();
  base::create_file(directory + "/outside/precious", "1");
  LocalStorage storage(directory + "/.metaflow");
  put(storage, "F/1/a", "1");
  std::filesystem::create_directory_symlink(directory + "/outside", directory + "/.metaflow/F/1/link");
  storage.walk("F", [](Listed&& object) { EXPECT_EQ(object.path, "F/1/a"); });
  storage.remove_tree("F/1");
  EXPECT_TRUE(base::exists(directory + "/outside/precious"));
  EXPECT_FALSE(base::exists(directory + "/.metaflow/F/1"));
  std::filesystem::remove_all(directory);
}

TEST(LocalStorage, RemovalDoesNotPassThroughLinks) {
  const std::string directory = fresh_directory();
  const std::string key(40, 'a');
  const std::string outside = directory + "/outside/1/_meta/precious";
  base::create_file(outside, "1");
  LocalStorage storage(directory + "/.metaflow");
  put(storage, "F/2/a", "1");
  std::filesystem::create_directory_symlink(directory + "/outside/1", directory + "/.metaflow/F/1");
  std::filesystem::create_directory_symlink(directory + "/outside", directory + "/.metaflow/G");
  for (const char* path : {"F/1/_meta", "F/1/_meta/precious", "G/1", "G/1/_meta/precious"}) {
    EXPECT_THROW(storage.remove_tree(path), Error) << path;
    EXPECT_THROW(remove(storage, path), Error) << path;
    EXPECT_THROW(storage.walk(path, [](Listed&&) {}), Error) << path;
  }
  EXPECT_THROW(storage.walk("G", [](Listed&&) {}), Error);
  const std::int64_t modified = base::file_status(outside)->modified;
  EXPECT_THROW(storage.remove_unchanged(std::array{Listed{"F/1/_meta/precious", 1, modified}}), Error);
  storage.remove_tree("F/1");  // the link itself
  EXPECT_FALSE(base::file_status(directory + "/.metaflow/F/1"));
  EXPECT_TRUE(base::exists(outside));
  std::filesystem::remove_all(directory);
}

/// A writer has reused a blob while the collector had set it aside.
TEST(LocalStorage, FileThatWasSetAsideIsRestoredWithoutHardLinks) {
  const std::string directory = fresh_directory();
  const base::FileTree files(directory);
  for (const char* failure : {"", "link:EPERM:1:sticky"}) {
    base::create_file(directory + "/data/key.removing", "1");
    base::set_failure_point(failure);
    files.restore_file("data/key.removing", "key");
    base::set_failure_point("");
    EXPECT_EQ(base::list_directory(directory + "/data"), std::vector<std::string>{"key"}) << failure;
    EXPECT_TRUE(files.remove_file("data/key"));
  }
  base::create_file(directory + "/data/key", "new");
  base::create_file(directory + "/data/key.removing", "old");
  files.restore_file("data/key.removing", "key");
  EXPECT_EQ(base::list_directory(directory + "/data"), std::vector<std::string>{"key"});
  EXPECT_EQ(base::read_file(directory + "/data/key")->text(), "new");
  std::filesystem::remove_all(directory);
}

/// Another user replaces a directory by a link while it is removed.
TEST(LocalStorage, RemovalDoesNotLeaveADirectoryThatIsReplacedMeanwhile) {
  const std::string directory = fresh_directory();
  const std::string run = directory + "/.metaflow/F/1";
  for (int i = 0; i < 50; ++i) base::create_file(fmt::format("{}/outside/{}", directory, i), "1");
  std::atomic<bool> ended = false;
  std::filesystem::create_directories(run);
  const std::jthread swapper([&] {
    while (!ended) {
      ::usleep(20);  // microseconds: the disk is busy with the removal
      ::syscall(SYS_renameat2, AT_FDCWD, (run + "/link").c_str(), AT_FDCWD, (run + "/step").c_str(), RENAME_EXCHANGE);
    }
  });
  LocalStorage storage(directory + "/.metaflow");
  for (int i = 0; i < 10; ++i) {
    // The files have the names of those outside.
    for (int k = 0; k < 50; ++k) base::create_file(fmt::format("{}/new/{}", run, k), "1");
    std::error_code ignored;
    std::filesystem::rename(run + "/new", run + "/step", ignored);
    std::filesystem::create_directory_symlink(directory + "/outside", run + "/link", ignored);
    std::filesystem::remove_all(run + "/new");
    try {
      storage.remove_tree("F/1/step");
    } catch (const Error&) {  // the link was seen
    }
  }
  ended = true;
  EXPECT_EQ(base::list_directory(directory + "/outside").size(), 50);
  std::filesystem::remove_all(directory);
}

TEST(LocalStorage, LargeBlobsHaveTheSameKeyFromMemoryAndFile) {
  // Blobs of more than 64 MiB are hashed as a tree, in chunks, on several cores, while they are written.
  const std::string directory = fresh_directory();
  LocalStorage storage(directory);
  std::string content(65U << 20U, '\0');
  for (std::size_t i = 0; i < content.size(); i += 4096) content[i] = static_cast<char>(i >> 12U);
  const auto all = base::as_bytes(content);
  const std::string whole = storage.save_blob("F/data", std::span(&all, 1), -1);
  const std::array pieces{all.first(12'345), all.subspan(12'345, 40'000'000), all.subspan(40'012'345)};
  EXPECT_EQ(storage.save_blob("G/data", pieces, -1), whole);
  EXPECT_TRUE(is_name(NameKind::key, whole));
  EXPECT_EQ(get(storage, blob_path("F/data", whole))->text(), content);
  EXPECT_EQ(get(storage, blob_path("G/data", whole))->text(), content);
  std::filesystem::remove_all(directory);
}

TEST(LocalStorage, ErrorsNameTheOperationAndTheFile) {
  const std::string directory = fresh_directory();
  base::create_file(directory + "/file", "");
  LocalStorage storage(directory + "/file");  // a file instead of a directory
  try {
    put(storage, "x", "1");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::data_store);
    EXPECT_THAT(error.what(), testing::HasSubstr(directory + "/file"));
  }
  std::filesystem::remove_all(directory);
}

TEST(LinkPool, EqualFilesShareAnInode) {
  const std::string directory = fresh_directory();
  LinkPool pool;
  pool.create(directory + "/a", "same");
  pool.create(directory + "/b", "same");
  pool.create(directory + "/c", "other");
  struct stat a {};
  struct stat b {};
  struct stat c {};
  ASSERT_EQ(::stat((directory + "/a").c_str(), &a), 0);
  ASSERT_EQ(::stat((directory + "/b").c_str(), &b), 0);
  ASSERT_EQ(::stat((directory + "/c").c_str(), &c), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_NE(a.st_ino, c.st_ino);
  std::filesystem::remove_all(directory);
}

TEST(LinkPool, FirstFileMayBeRemoved) {
  const std::string directory = fresh_directory();
  LinkPool pool;
  pool.create(directory + "/a", "same");
  std::filesystem::remove(directory + "/a");
  pool.create(directory + "/b", "same");
  EXPECT_EQ(base::read_file(directory + "/b")->text(), "same");
  pool.create(directory + "/c", "same");
  EXPECT_EQ(base::read_file(directory + "/c")->text(), "same");
  std::filesystem::remove_all(directory);
}

TEST(LinkPool, ExistingFileIsLeftUnchanged) {
  const std::string directory = fresh_directory();
  base::create_file(directory + "/a", "mine");
  LinkPool pool;
  pool.create(directory + "/b", "new");
  pool.create(directory + "/a", "new");
  EXPECT_EQ(base::read_file(directory + "/a")->text(), "mine");
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace metaflow::store
