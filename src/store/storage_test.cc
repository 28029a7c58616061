// The contract of Storage, tested for all implementations.
#include "store/storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <metaflow/error.h>

#include "base/text.h"
#include "store/local/local_storage.h"
#include "store/memory/memory_storage.h"
#include "store/overlay/overlay_storage.h"
#include "store/s3/s3_storage.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

std::string fresh_directory() {
  std::string name = testing::TempDir() + "storage_XXXXXX";
  return ::mkdtemp(name.data());
}

/// A new prefix on the server that METAFLOW_TEST_S3 names, "s3://bucket/prefix"; nothing if it is not set.
std::unique_ptr<S3Storage> s3_for_test() {
  const char* root = std::getenv("METAFLOW_TEST_S3");
  if (root == nullptr) return nullptr;
  const base::Settings settings;
  const net::AwsConfig config(net::own_variables());
  const std::string place = fresh_directory();
  std::filesystem::remove(place);
  return std::make_unique<S3Storage>(root + place, s3_options(settings, config), config);
}

class StorageTest : public testing::TestWithParam<std::string> {
 protected:
  StorageTest() {
    if (GetParam() == "local") {
      directory_ = fresh_directory();
      storage_ = std::make_unique<LocalStorage>(directory_ + "/.metaflow");
    } else if (GetParam() == "s3") {
      storage_ = s3_for_test();
    } else if (GetParam() == "overlay") {
      storage_ = std::make_unique<OverlayStorage>(std::make_unique<MemoryStorage>(), std::make_unique<MemoryStorage>());
    } else {
      storage_ = std::make_unique<MemoryStorage>();
    }
  }
  void SetUp() override {
    if (!storage_) GTEST_SKIP() << "no S3 server: METAFLOW_TEST_S3 is not set (test/e2e/test_s3.py does)";
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

INSTANTIATE_TEST_SUITE_P(All, StorageTest, testing::Values("local", "memory", "overlay", "s3"),
                         [](const auto& type) { return type.param; });

TEST_P(StorageTest, InTheBackground) {
  base::SystemClock clock;
  base::EventLoop loop(clock);
  put(*storage_, "F/1/before", "zero");
  const auto background = storage_->in_background(loop);
  std::optional<std::vector<std::optional<base::SharedBytes>>> got;
  background->put({{"F/1/a", base::SharedBytes("one")}, {"F/1/mark", base::SharedBytes("\"\""), true}}, [&] {
    background->get({"F/1/a", "F/1/nothing", "F/1/mark", "F/1/before"},
                    [&](auto&& contents) { got = std::move(contents); });
  });
  while (!got) loop.run_once();
  ASSERT_EQ(got->size(), 4U);
  EXPECT_EQ((*got)[0]->text(), "one");
  EXPECT_FALSE((*got)[1]);
  EXPECT_EQ((*got)[2]->text(), "\"\"");
  EXPECT_EQ((*got)[3]->text(), "zero");
  EXPECT_EQ(text("F/1/a"), "one");
  int over = 0;
  background->put({}, [&] { ++over; });
  background->get({}, [&](auto&&) { ++over; });
  EXPECT_EQ(over, 2) << "no call has finished at once";
}

TEST_P(StorageTest, PutAndGet) {
  put(*storage_, "F/1/a", "one");
  put(*storage_, "F/1/b/c", "");
  EXPECT_EQ(text("F/1/a"), "one");
  EXPECT_EQ(text("F/1/b/c"), "");
  EXPECT_TRUE(exists(*storage_, "F/1/b/c"));
}

TEST_P(StorageTest, MissingObjects) {
  EXPECT_EQ(text("F/1/a"), std::nullopt);
  EXPECT_FALSE(exists(*storage_, "F/1/a"));
  EXPECT_THAT(storage_->list("F/1"), IsEmpty());
}

TEST_P(StorageTest, ResultsAreInTheOrderOfThePaths) {
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

TEST_P(StorageTest, LaterPutReplaces) {
  put(*storage_, "x", "old and long");
  const auto old = get(*storage_, "x");
  put(*storage_, "x", "new");
  EXPECT_EQ(text("x"), "new");
  EXPECT_EQ(old->text(), "old and long") << "an earlier result does not change";
}

TEST_P(StorageTest, ListDistinguishesDirectories) {
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
  EXPECT_EQ(text("F/data/aa/aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"), "hello");
}

TEST_P(StorageTest, OddNames) {
  const std::string path = "F/tag \"q'\xC3\xBC+%2B&=#[1]*?/x";
  put(*storage_, path, "1");
  EXPECT_EQ(text(path), "1");
  ASSERT_EQ(storage_->list("F").size(), 1U);
  EXPECT_EQ("F/" + storage_->list("F")[0].name + "/x", path);
}

TEST_P(StorageTest, PathsStayInsideTheStore) {
  put(*storage_, "F/a", "1");
  using namespace std::string_literals;
  const std::vector<std::string> outside{"",       "/",         "/etc/passwd", "..",     "../x", "F/../../x",
                                         "F/..",   "F/./x",     "F//x",        "F/x/",   ".",    "./F/a",
                                         "F/a\nb", "F/\x1b[2J", "F/a\0b"s,     "F/a\x7f"};
  const auto piece = base::as_bytes("content");
  const Pieces content(&piece, 1);
  for (const std::string& path : outside) {
    auto refuses = [&](const char* what, auto action) {
      try {
        action();
        ADD_FAILURE() << what << " takes '" << path << "'";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::data_store);
        EXPECT_THAT(error.message(), testing::HasSubstr("is not the path of an object")) << what;
      }
    };
    const std::vector<std::string> paths{"F/a", path};
    refuses("get", [&] { storage_->get(paths); });
    refuses("sizes", [&] { storage_->sizes(paths); });
    refuses("put", [&] { put(*storage_, path, "x"); });
    refuses("put of a mark", [&] { put(*storage_, OwnedObject{path, base::SharedBytes("x"), true}); });
    refuses("create", [&] { create(*storage_, path, "x"); });
    refuses("copy from", [&] { copy(*storage_, path, "F/b"); });
    refuses("copy to", [&] { copy(*storage_, "F/a", path); });
    const Listed blob{path};
    refuses("begin", [&] { storage_->get_begins(paths, 1); });
    refuses("remove", [&] { storage_->remove(paths); });
    put(*storage_, "F/a", "1");
    refuses("remove_unchanged", [&] { storage_->remove_unchanged(std::span(&blob, 1)); });
    if (!path.empty()) refuses("walk", [&] { storage_->walk(path, [](Listed&&) {}); });
    if (!path.empty()) refuses("remove_tree", [&] { storage_->remove_tree(path); });
    if (!path.empty()) refuses("list", [&] { storage_->list(path); });  // an empty one is the root
    refuses("save_blob", [&] { storage_->save_blob(path, content, -1); });
    base::SystemClock clock;
    base::EventLoop loop(clock);
    const auto background = storage_->in_background(loop);
    refuses("get in the background", [&] { background->get({path}, [](auto&&) {}); });
    refuses("put in the background", [&] { background->put({{path, base::SharedBytes("x")}}, [] {}); });
  }
  EXPECT_EQ(text("F/a"), "1");
}

TEST_P(StorageTest, CreateDoesNotReplace) {
  EXPECT_TRUE(create(*storage_, "F/lease", "mine"));
  EXPECT_FALSE(create(*storage_, "F/lease", "other"));
  EXPECT_EQ(text("F/lease"), "mine");
}

TEST_P(StorageTest, Copies) {
  EXPECT_FALSE(copy(*storage_, "F/nothing", "F/b"));
  put(*storage_, "F/a +%", "content");
  EXPECT_TRUE(copy(*storage_, "F/a +%", "F/b"));
  EXPECT_EQ(text("F/b"), "content");
}

std::vector<std::string> paths_below(Storage& storage, const std::string& path) {
  std::vector<std::string> paths;
  storage.walk(path, [&](Listed&& object) { paths.push_back(std::move(object.path)); });
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<Listed> listed(Storage& storage, const std::string& path) {
  std::vector<Listed> objects;
  storage.walk(path, [&](Listed&& object) { objects.push_back(std::move(object)); });
  return objects;
}

TEST_P(StorageTest, WalkVisitsEveryObjectWithItsSizeAndTime) {
  put(*storage_, "F/1/start/1/0.data.json", "{}");
  put(*storage_, "F/1/a b", "four");
  put(*storage_, "F/10/x", "");
  EXPECT_THAT(paths_below(*storage_, "F/1"), ElementsAre("F/1/a b", "F/1/start/1/0.data.json"));
  EXPECT_THAT(paths_below(*storage_, ""), testing::SizeIs(3));
  EXPECT_THAT(paths_below(*storage_, "F/2"), IsEmpty());
  constexpr std::int64_t kHour = 3'600'000'000;
  for (const Listed& object : listed(*storage_, "F/1")) {
    EXPECT_EQ(object.size, object.path == "F/1/a b" ? 4U : 2U);
    EXPECT_NEAR(object.modified, base::SystemClock().wall_microseconds(), kHour) << "microseconds since 1970";
  }
}

TEST_P(StorageTest, BeginOfAnObject) {
  put(*storage_, "F/x", "content");
  put(*storage_, "F/empty", "");
  const std::vector<std::string> paths{"F/x", "F/y", "F/empty"};
  const auto begins = storage_->get_begins(paths, 4);
  EXPECT_EQ(begins[0]->text(), "cont");
  EXPECT_FALSE(begins[1]);
  EXPECT_EQ(begins[2]->text(), "");
  EXPECT_EQ(storage_->get_begins(paths, 100)[0]->text(), "content");
}

TEST_P(StorageTest, RemovedObjectsDoNotExist) {
  put(*storage_, "F/1/a", "1");
  put(*storage_, "F/1/b", "2");
  const std::vector<std::string> paths{"F/1/a", "F/1/nothing"};
  storage_->remove(paths);
  EXPECT_THAT(paths_below(*storage_, "F"), ElementsAre("F/1/b"));
  put(*storage_, "F/1/start/1/x", "3");
  put(*storage_, "F/12/y", "4");
  storage_->remove_tree("F/1");
  EXPECT_THAT(paths_below(*storage_, "F"), ElementsAre("F/12/y"));
  ASSERT_EQ(storage_->list("F").size(), 1U);
  storage_->remove_tree("F/nothing");
}

TEST_P(StorageTest, BlobsAreRemovedIfTheyHaveNotChanged) {
  const std::string path = blob_path("F/data", save("hello"));
  const std::vector<Listed> all = listed(*storage_, "F/data");
  Listed blob = *std::find_if(all.begin(), all.end(), [&](const Listed& object) { return object.path == path; });
  Listed older = blob;
  older.modified -= 5'000'000;
  EXPECT_THAT(storage_->remove_unchanged(std::span(&older, 1)), ElementsAre(false));
  EXPECT_EQ(text(path), "hello");
  EXPECT_THAT(storage_->remove_unchanged(std::span(&blob, 1)), ElementsAre(true));
  EXPECT_THAT(paths_below(*storage_, "F"), IsEmpty()) << "its side file is removed, too";
  EXPECT_THAT(storage_->remove_unchanged(std::span(&blob, 1)), ElementsAre(true)) << "it does not exist";
  save("hello");
  EXPECT_EQ(text(path), "hello");
}

TEST_P(StorageTest, ListWithManyPages) {
  std::vector<std::string> paths;
  std::vector<Object> objects;
  for (int i = 0; i < 1234; ++i) paths.push_back("F/1/" + std::to_string(i));
  for (const std::string& path : paths) objects.push_back({path, {}});
  storage_->put(objects);
  EXPECT_EQ(storage_->list("F/1").size(), 1234U);
  EXPECT_EQ(storage_->list("F").size(), 1U);
}

TEST_P(StorageTest, LargeObjects) {
  // Larger than the sizes from which S3 reads and writes in parts, and reads into a mapped file.
  std::string content(70U << 20U, '\0');
  for (std::size_t i = 0; i < content.size(); i += 997) content[i] = static_cast<char>(i * 31 >> 7U);
  for (const std::size_t size : {S3Transfers::kPart - 1, S3Transfers::kPart, S3Transfers::kPart + 1,
                                 S3Transfers::kWholeUpTo, S3Transfers::kWholeUpTo + 1, std::uint64_t{content.size()}}) {
    const auto all = base::as_bytes(content).first(size);
    const std::array pieces{all.first(12'345), all.subspan(12'345)};
    const std::string key = storage_->save_blob("F/data", pieces, -1);
    const auto got = get(*storage_, blob_path("F/data", key));
    ASSERT_TRUE(got);
    EXPECT_TRUE(got->text() == std::string_view(content).substr(0, size)) << size;
    EXPECT_EQ(storage_->save_blob("F/data", std::span(&all, 1), -1), key);
  }
}

}  // namespace
}  // namespace metaflow::store
