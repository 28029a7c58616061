// mf::S3 with the server of METAFLOW_TEST_S3 (test/e2e/test_s3.py starts some).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <metaflow/s3.h>

#include "base/files.h"

namespace metaflow {
namespace {

using testing::ElementsAre;
using testing::Optional;

class S3UserTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* root = std::getenv("METAFLOW_TEST_S3");
    if (root == nullptr) GTEST_SKIP() << "no S3 server: METAFLOW_TEST_S3 is not set (test/e2e/test_s3.py does)";
    std::string place = testing::TempDir() + "s3_XXXXXX";
    directory_ = ::mkdtemp(place.data());
    s3_.emplace(root + directory_);
  }
  void TearDown() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  std::string directory_;
  std::optional<S3> s3_;
};

TEST_F(S3UserTest, OneAndMany) {
  s3_->put("a b/1.txt", "one");
  s3_->put_many({{"a b/2.txt", "two"}, {"a b/c/3.txt", "three"}, {"top", ""}});
  EXPECT_EQ(s3_->get("a b/1.txt").text(), "one");
  const auto names = s3_->names("a b");
  EXPECT_THAT(names, ElementsAre("a b/1.txt", "a b/2.txt", "a b/c/3.txt"));
  const auto objects = s3_->get_many(names);
  EXPECT_EQ(objects[2].text(), "three");
  EXPECT_EQ(objects[2].name(), "a b/c/3.txt");
  EXPECT_THAT(s3_->sizes({"top", "nothing", "a b/2.txt"}), ElementsAre(Optional(0U), std::nullopt, Optional(3U)));
  const auto some = s3_->try_get_many({"nothing", "top"});
  EXPECT_FALSE(some[0]);
  EXPECT_EQ(some[1]->size(), 0U);
  try {
    s3_->get_many({"top", "nothing"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
  }
}

TEST_F(S3UserTest, LineBreaksInNames) {
  s3_->put("line\nend", "1");
  EXPECT_EQ(s3_->get("line\nend").text(), "1");
  EXPECT_THAT(s3_->names(), ElementsAre("line\nend"));
}

TEST_F(S3UserTest, Lists) {
  s3_->put_many({{"x/1", "1"}, {"x/2/3", "22"}, {"x/2/4", ""}, {"xy", ""}});
  const auto entries = s3_->list("x/");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].name, "x/1");
  EXPECT_EQ(entries[0].size, 1U);
  EXPECT_EQ(entries[1].name, "x/2");
  EXPECT_TRUE(entries[1].is_prefix);
  EXPECT_EQ(s3_->list_all().size(), 4U);
  EXPECT_TRUE(s3_->list("nothing").empty());
}

TEST_F(S3UserTest, Ranges) {
  s3_->put("digits", "0123456789");
  EXPECT_EQ(s3_->get_range("digits", 2, 3).text(), "234");
  EXPECT_EQ(s3_->get_range("digits", 8, 100).text(), "89");
  EXPECT_EQ(s3_->get_range("digits", 10, 1).text(), "");
  EXPECT_EQ(s3_->get_range("digits", 3, 0).text(), "");
  EXPECT_THROW(s3_->get_range("nothing", 0, 1), Error);
}

TEST_F(S3UserTest, Files) {
  std::string content(20U << 20U, 'x');
  content[12'345'678] = 'y';
  base::replace_file(directory_ + "/in", content);
  s3_->put_file("large", directory_ + "/in");
  s3_->get_file("large", directory_ + "/out");
  EXPECT_TRUE(base::read_file(directory_ + "/out")->text() == content);
  EXPECT_THROW(s3_->put_file("x", directory_ + "/nothing"), Error);
}

}  // namespace
}  // namespace metaflow
