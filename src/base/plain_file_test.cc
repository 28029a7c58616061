#include "base/plain_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include <metaflow/error.h>

#include "base/failure_points.h"

namespace metaflow::base {
namespace {

using testing::HasSubstr;

class PlainFile : public testing::Test {
 protected:
  PlainFile() {
    std::string name = testing::TempDir() + "plain_XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~PlainFile() override { std::filesystem::remove_all(directory_); }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  static std::string error_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::data_store);
      return error.message();
    }
    return "none";
  }

  std::string directory_;
};

TEST_F(PlainFile, IsReadAndCreated) {
  EXPECT_FALSE(read_plain_file(path("nothing")));
  EXPECT_FALSE(read_plain_file(path("nothing/file")));
  create_file(path("f"), "content");
  EXPECT_EQ(read_plain_file(path("f"))->text(), "content");
  append(open_plain_file(path("g"), O_CREAT | O_WRONLY | O_APPEND), path("g"), "new");
  EXPECT_EQ(read_plain_file(path("g"))->text(), "new");
}

TEST_F(PlainFile, OtherKindsOfFilesAreErrorsAndNeverBlock) {
  create_file(path("elsewhere"), "content");
  ASSERT_EQ(::symlink(path("elsewhere").c_str(), path("link").c_str()), 0);
  ASSERT_EQ(::symlink("/dev/zero", path("device").c_str()), 0);
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0666), 0);
  for (const char* name : {"link", "device", "pipe"}) {
    EXPECT_THAT(error_of([&] { read_plain_file(path(name)); }), HasSubstr("not a file"));
    EXPECT_THAT(error_of([&] { open_plain_file(path(name), O_CREAT | O_RDWR); }), HasSubstr("not a file"));
    EXPECT_THAT(error_of([&] { open_to_append(path(name)); }), HasSubstr("not a file"));
  }
  EXPECT_THAT(error_of([] { read_plain_file("/dev/null"); }), HasSubstr("it is a device"));
  EXPECT_THAT(error_of([&] { read_plain_file(directory_); }), HasSubstr("Is a directory"));
  EXPECT_EQ(read_file(path("elsewhere"))->text(), "content") << "nothing was written through the link";
}

TEST_F(PlainFile, AFileOfAnotherUserMayBeTruncatedWhileItIsRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const auto give_away = [&] { return ::chown(path("f").c_str(), 54321, 54321); };
  const auto open_to_all = [&] { return ::chmod(path("f").c_str(), 0646); };
  const auto open_to_a_group = [&] { return ::chmod(path("f").c_str(), 0664) | ::chown(path("f").c_str(), 0, 54321); };
  for (const std::function<int()>& share : {std::function<int()>(give_away), {open_to_all}, {open_to_a_group}}) {
    // In memory, and on the disk.
    for (const std::size_t size : {std::size_t{1} << 20U, std::size_t{257} << 20U}) {
      std::filesystem::remove(path("f"));
      create_file(path("f"), "content");
      ASSERT_EQ(::truncate(path("f").c_str(), static_cast<off_t>(size)), 0);
      ASSERT_EQ(share(), 0);
      const auto seen = read_plain_file(path("f"));
      ASSERT_EQ(::truncate(path("f").c_str(), 0), 0);
      ASSERT_EQ(seen->size(), size);
      EXPECT_EQ(seen->text().substr(0, 8), std::string_view("content\0", 8)) << "reading a mapping would be a SIGBUS";
      EXPECT_EQ(seen->text().back(), '\0');
    }
  }
}

TEST_F(PlainFile, FileSystemWithoutMappingsIsRead) {
  const std::string content(100'000, 'x');  // files of this size are mapped
  create_file(path("f"), content);
  set_failure_point("map:EOPNOTSUPP:1:sticky");
  const auto read = read_plain_file(path("f"));
  set_failure_point("");
  EXPECT_EQ(read->text(), content);
}

TEST_F(PlainFile, ASparseFileOfAnySizeIsRejected) {
  create_file(path("f"), "content");
  ASSERT_EQ(::truncate(path("f").c_str(), off_t{1} << 36U), 0);
  EXPECT_THAT(error_of([&] { read_plain_file(path("f"), kMaxLogSize); }), HasSubstr("too large"));
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(::chown(path("f").c_str(), 54321, 54321), 0);
  const auto seen = read_plain_file(path("f"));
  ASSERT_EQ(seen->size(), std::size_t{1} << 36U);
  EXPECT_EQ(seen->text().substr(0, 8), std::string_view("content\0", 8));
}

}  // namespace
}  // namespace metaflow::base
