// LocalStorage and LinkPool beyond the contract of Storage, which storage_test.cc tests.
#include "store/local/local_storage.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include <metaflow/error.h>

#include "base/file_tree.h"
#include "base/files.h"
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
