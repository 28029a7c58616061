#include "base/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/file_mode.h"
#include "base/text.h"

namespace metaflow::base {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

class Files : public testing::Test {
 protected:
  Files() {
    std::string name = testing::TempDir() + "files_XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~Files() override { std::filesystem::remove_all(directory_); }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  std::string directory_;
};

TEST_F(Files, CreateMakesDirectoriesAndNeverReplacesFiles) {
  EXPECT_TRUE(create_file(path("a/b/c"), "first"));
  EXPECT_FALSE(create_file(path("a/b/c"), "second"));
  EXPECT_EQ(read_file(path("a/b/c"))->text(), "first");
}

TEST_F(Files, ReplaceDoesNotAffectOpenReaders) {
  const std::string old(1U << 20U, 'o');  // large enough to be mapped
  replace_file(path("f"), old);
  const auto mapped = read_file(path("f"));
  replace_file(path("f"), "new");
  EXPECT_EQ(mapped->text(), old);
  EXPECT_EQ(read_file(path("f"))->text(), "new");
  EXPECT_THAT(list_directory(directory_), UnorderedElementsAre("f")) << "no temporary file is left";
}

TEST_F(Files, AnOutputFileKeepsItsMode) {
  auto mode_of = [&](const std::string& name) {
    struct stat status {};
    EXPECT_EQ(::stat(path(name).c_str(), &status), 0);
    return status.st_mode & 0777U;
  };
  write_output_file(path("f"), "first");
  for (const mode_t mode : {mode_t{0600}, mode_t{0640}}) {
    EXPECT_EQ(::chmod(path("f").c_str(), mode), 0);
    write_output_file(path("f"), "second");
    EXPECT_EQ(mode_of("f"), mode);
  }
  replace_file(path("secret"), "first", kPrivate);
  EXPECT_EQ(mode_of("secret"), 0600U);
  replace_file(path("f"), "third", kPrivate);
  EXPECT_EQ(mode_of("f"), 0600U);
}

TEST_F(Files, HintsForAnOutputFileDoNotMentionTheStore) {
  try {
    write_output_file("/dev/full", "lost");
    ADD_FAILURE() << "must fail: no space";
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "Free some space.");
  }
}

TEST_F(Files, ADeletedCurrentDirectoryIsAnError) {
  const std::string before = current_directory();
  make_directory(path("gone"));
  ASSERT_EQ(::chdir(path("gone").c_str()), 0);
  ASSERT_EQ(::rmdir(path("gone").c_str()), 0);
  try {
    current_directory();
    ADD_FAILURE() << "must fail: deleted";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "Cannot find the current directory: it was deleted");
  }
  ASSERT_EQ(::chdir(before.c_str()), 0);
}

TEST_F(Files, AnOutputFileMayBeADeviceOrALink) {
  write_output_file("/dev/null", "gone");
  EXPECT_THROW(write_output_file(path("nosuch/file"), "lost"), Error);
  EXPECT_FALSE(exists(path("nosuch")));
  struct stat status {};
  ASSERT_EQ(::stat("/dev/null", &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode)) << "it is still a device";
  create_file(path("target"), "old");
  ASSERT_EQ(::symlink(path("target").c_str(), path("link").c_str()), 0);
  write_output_file(path("link"), "new");
  EXPECT_EQ(read_file(path("target"))->text(), "new");
  ASSERT_EQ(::lstat(path("link").c_str(), &status), 0);
  EXPECT_TRUE(S_ISLNK(status.st_mode));
}

TEST_F(Files, MissingFiles) {
  EXPECT_FALSE(read_file(path("x")).has_value());
  EXPECT_FALSE(file_size(path("x")).has_value());
  EXPECT_FALSE(exists(path("x")));
  EXPECT_TRUE(list_directory(path("x")).empty());
}

TEST_F(Files, ErrorsNameOperationPathAndReason) {
  create_file(path("file"), "");
  try {
    create_file(path("file/below"), "");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::data_store);
    EXPECT_THAT(error.what(), HasSubstr(path("file")));
    EXPECT_THAT(error.what(), HasSubstr("Not a directory"));
  }
  EXPECT_THROW(read_file(directory_), Error) << "a directory is not a file";
}

TEST_F(Files, SpoolFilesAreWrittenInAnyOrderAndPublishedOnce) {
  SpoolFile spool(path("d"));
  spool.write(as_bytes("world"), 5);
  spool.write(as_bytes("hello"), 0);
  EXPECT_TRUE(list_directory(path("d")).empty() || !exists(path("d/x")));
  EXPECT_TRUE(spool.publish(path("d/x")));
  EXPECT_EQ(read_file(path("d/x"))->text(), "helloworld");
  SpoolFile other(path("d"));
  other.write(as_bytes("late"), 0);
  EXPECT_FALSE(other.publish(path("d/x")));
  EXPECT_EQ(read_file(path("d/x"))->text(), "helloworld");
}

TEST_F(Files, AnUnpublishedSpoolFileLeavesNothing) {
  { SpoolFile(path("d")).write(as_bytes("x"), 0); }
  EXPECT_TRUE(list_directory(path("d")).empty());
}

TEST_F(Files, CreatingIsExclusiveOnEveryFileSystem) {
  struct Case {
    const char* name;
    const char* lacks;
  };
  for (const Case& one : {Case{"all", ""}, Case{"nameless", "create:EOPNOTSUPP"},
                          Case{"links", "create:EOPNOTSUPP,publish:EPERM:1:sticky"},
                          Case{"noreplace", "create:EOPNOTSUPP,publish:EPERM:1:sticky,rename:EINVAL:1:sticky"}}) {
    const std::string name = path(std::string(one.name) + "/x");
    make_directories(directory_of(name));
    set_failure_point(one.lacks);
    EXPECT_TRUE(create_file(name, "mine")) << one.name;
    set_failure_point(one.lacks);
    EXPECT_FALSE(create_file(name, "other")) << one.name;
    set_failure_point("");
    EXPECT_EQ(read_file(name)->text(), "mine") << one.name;
    EXPECT_EQ(list_directory(directory_of(name)).size(), 1U) << one.name;
  }
}

TEST_F(Files, CreatingIsExclusiveInADeletedDirectory) {
  make_directories(path("spool"));
  set_failure_point("create:EOPNOTSUPP");
  SpoolFile file(path("spool"));
  set_failure_point("");
  file.write(as_bytes("late"), 0);
  EXPECT_TRUE(file.publish(path("gone/x")));
  set_failure_point("create:EOPNOTSUPP");
  SpoolFile other(path("spool"));
  set_failure_point("publish:ENOENT");  // the directory was made again meanwhile
  EXPECT_ANY_THROW(other.publish(path("gone/x")));
  set_failure_point("");
  EXPECT_EQ(read_file(path("gone/x"))->text(), "late");
}

TEST_F(Files, AFailedCreationLeavesNothing) {
  set_failure_point("create:EOPNOTSUPP,publish:EPERM,rename:EINVAL,replace:EIO");
  EXPECT_THROW(create_file(path("x"), "text"), Error);
  set_failure_point("");
  EXPECT_TRUE(list_directory(directory_).empty());
}

TEST_F(Files, AbsolutePathsAreLexical) {
  EXPECT_EQ(absolute_path("/a/./b/../c//d/"), "/a/c/d");
  EXPECT_EQ(absolute_path("/.."), "/");
  EXPECT_EQ(absolute_path("x"), current_directory() + "/x");
}

}  // namespace
}  // namespace metaflow::base
