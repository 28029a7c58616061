// What every Storage promises.
#include "store/storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/text.h"
#include "store/local/link_pool.h"
#include "store/local/local_storage.h"
#include "store/memory/memory_storage.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

std::string fresh_directory() {
  std::string name = testing::TempDir() + "storage_XXXXXX";
  return ::mkdtemp(name.data());
}

class StorageTest : public testing::TestWithParam<std::string> {
 protected:
  StorageTest() {
    if (GetParam() == "local") {
      directory_ = fresh_directory();
      storage_ = std::make_unique<LocalStorage>(directory_ + "/.metaflow");
    } else {
      storage_ = std::make_unique<MemoryStorage>();
    }
  }
  ~StorageTest() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  std::optional<std::string> text(const std::string& path) {
    const auto content = get(*storage_, path);
    return content ? std::optional<std::string>(content->text()) : std::nullopt;
  }
  std::string save(std::string_view content) {
    const auto piece = base::as_bytes(content);
    return storage_->save_blob("F/data", std::span(&piece, 1), -1);
  }

  std::string directory_;
  std::unique_ptr<Storage> storage_;
};

INSTANTIATE_TEST_SUITE_P(All, StorageTest, testing::Values("local", "memory"),
                         [](const auto& type) { return type.param; });

TEST_P(StorageTest, WhatIsPutCanBeGot) {
  put(*storage_, "F/1/a", "one");
  put(*storage_, "F/1/b/c", "");
  EXPECT_EQ(text("F/1/a"), "one");
  EXPECT_EQ(text("F/1/b/c"), "");
  EXPECT_TRUE(exists(*storage_, "F/1/b/c"));
}

TEST_P(StorageTest, WhatIsNotThere) {
  EXPECT_EQ(text("F/1/a"), std::nullopt);
  EXPECT_FALSE(exists(*storage_, "F/1/a"));
  EXPECT_THAT(storage_->list("F/1"), IsEmpty());
}

TEST_P(StorageTest, ManyAtOnceKeepTheirOrder) {
  put(*storage_, "a", "1");
  put(*storage_, "c", "333");
  const std::vector<std::string> paths{"c", "b", "a"};
  const auto contents = storage_->get(paths);
  ASSERT_EQ(contents.size(), 3U);
  EXPECT_EQ(contents[0]->text(), "333");
  EXPECT_FALSE(contents[1].has_value());
  EXPECT_EQ(contents[2]->text(), "1");
  EXPECT_THAT(storage_->sizes(paths), ElementsAre(Optional(3U), std::nullopt, Optional(1U)));
}

TEST_P(StorageTest, ALaterPutReplaces) {
  put(*storage_, "x", "old and long");
  const auto old = get(*storage_, "x");
  put(*storage_, "x", "new");
  EXPECT_EQ(text("x"), "new");
  EXPECT_EQ(old->text(), "old and long") << "what was got stays as it was";
}

TEST_P(StorageTest, ListTellsDirectoriesApart) {
  put(*storage_, "F/1/start/1/0.data.json", "{}");
  put(*storage_, "F/1/start/2/0.data.json", "{}");
  put(*storage_, "F/1/file", "");
  auto entries = storage_->list("F/1");
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].name, "file");
  EXPECT_FALSE(entries[0].is_directory);
  EXPECT_EQ(entries[1].name, "start");
  EXPECT_TRUE(entries[1].is_directory);
}

TEST_P(StorageTest, BlobsAreNamedByTheSha1OfTheirContent) {
  EXPECT_EQ(save("hello"), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
  EXPECT_EQ(text("F/data/aa/aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"), "hello");
  EXPECT_EQ(save("hello"), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
}

TEST_P(StorageTest, BlobsInPieces) {
  const std::array pieces{base::as_bytes("he"), base::as_bytes(""), base::as_bytes("llo")};
  EXPECT_EQ(storage_->save_blob("F/data", pieces, -1), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
}

TEST_P(StorageTest, OddNames) {
  const std::string path = "F/tag \"q'\xC3\xBC\n[1]*?/x";
  put(*storage_, path, "1");
  EXPECT_EQ(text(path), "1");
}

TEST(LocalStorage, LargeBlobsHaveTheSameKeyHoweverTheyCome) {
  // Above 64 MiB blobs are hashed as a tree, in chunks, on several cores, while they are written.
  const std::string directory = fresh_directory();
  LocalStorage storage(directory);
  std::string content(65U << 20U, '\0');
  for (std::size_t i = 0; i < content.size(); i += 4096) content[i] = static_cast<char>(i >> 12U);
  const auto all = base::as_bytes(content);
  const std::string whole = storage.save_blob("F/data", std::span(&all, 1), -1);
  const std::array pieces{all.first(12'345), all.subspan(12'345, 40'000'000), all.subspan(40'012'345)};
  EXPECT_EQ(storage.save_blob("G/data", pieces, -1), whole);
  EXPECT_TRUE(base::is_hex_key(whole));
  EXPECT_EQ(get(storage, blob_path("F/data", whole))->text(), content);
  EXPECT_EQ(get(storage, blob_path("G/data", whole))->text(), content);
  std::filesystem::remove_all(directory);
}

TEST(LocalStorage, ErrorsNameTheOperationAndTheFile) {
  const std::string directory = fresh_directory();
  base::create_file(directory + "/file", "");
  LocalStorage storage(directory + "/file");  // a file where a directory must be
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

TEST(LinkPool, TheFirstFileMayBeRemoved) {
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

TEST(LinkPool, AFileThatIsThereIsLeftAsItIs) {
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
