#include "base/trusted_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include <metaflow/error.h>

#include "base/files.h"

namespace metaflow::base {
namespace {

using testing::HasSubstr;

constexpr uid_t kOtherUser = 54321;  // not in the password database

class TrustedFile : public testing::Test {
 protected:
  TrustedFile() {
    std::string name = testing::TempDir() + "trusted_XXXXXX";
    root_ = ::mkdtemp(name.data());
    directory_ = root_ + "/d";
    path_ = directory_ + "/file";
    make_directories(directory_);
    create_file(path_, "content");
    EXPECT_EQ(::chmod(directory_.c_str(), 0755), 0);
    EXPECT_EQ(::chmod(path_.c_str(), 0644), 0);
    saved_ = std::getenv("SUDO_UID") != nullptr ? std::getenv("SUDO_UID") : "";
    ::unsetenv("SUDO_UID");
  }
  ~TrustedFile() override {
    saved_.empty() ? ::unsetenv("SUDO_UID") : ::setenv("SUDO_UID", saved_.c_str(), 1);
    std::filesystem::remove_all(root_);
  }
  /// Makes the file another user's. Root changes its owner; others get the id of another user to check it with.
  uid_t give_away(const std::string& path) {
    if (::geteuid() != 0) return ::geteuid() + 1;
    EXPECT_EQ(::chown(path.c_str(), kOtherUser, ::getegid()), 0);
    return ::geteuid();
  }
  std::string distrust(uid_t user = ::geteuid()) { return read_checked_file(path_, user)->distrust.value_or("none"); }

  std::string root_;
  std::string directory_;
  std::string path_;
  std::string saved_;
};

TEST_F(TrustedFile, AFileOfTheUserIsTrusted) {
  EXPECT_EQ(distrust(), "none");
  EXPECT_EQ(read_checked_file(path_)->content->text(), "content");
}

TEST_F(TrustedFile, AMissingFile) {
  EXPECT_FALSE(read_checked_file(root_ + "/d/nothing"));
  EXPECT_FALSE(read_checked_file(root_ + "/nothing/file"));
  EXPECT_FALSE(read_checked_file(path_ + "/file"));
}

TEST_F(TrustedFile, AFileOfAnotherUserIsNotTrusted) {
  const uid_t user = give_away(path_);
  EXPECT_THAT(distrust(user), HasSubstr("belongs to "));
  EXPECT_EQ(read_checked_file(path_, user)->content->text(), "content") << "an untrusted file can still be read";
}

TEST_F(TrustedFile, AFileInAnotherUsersDirectoryIsNotTrusted) {
  EXPECT_THAT(distrust(give_away(directory_)), HasSubstr("its directory belongs to "));
}

TEST_F(TrustedFile, AFileWritableByAllIsNotTrusted) {
  ASSERT_EQ(::chmod(path_.c_str(), 0646), 0);
  EXPECT_EQ(distrust(), "all users can write it");
  ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
  ASSERT_EQ(::chmod(directory_.c_str(), 01777), 0);
  EXPECT_EQ(distrust(), "all users can write its directory");
}

TEST_F(TrustedFile, AFileWritableByASharedGroupIsNotTrusted) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file to any group";
  ASSERT_EQ(::chown(path_.c_str(), 0, 54321), 0);
  ASSERT_EQ(::chmod(path_.c_str(), 0664), 0);
  EXPECT_EQ(distrust(), "the group 54321 can write it");
  ASSERT_EQ(::chown(path_.c_str(), 0, 0), 0);
  EXPECT_EQ(distrust(), "none") << "root's private group";
}

TEST_F(TrustedFile, ALinkIsCheckedAsItsTarget) {
  const std::string link = directory_ + "/link";
  ASSERT_EQ(::symlink("file", link.c_str()), 0);
  EXPECT_EQ(read_checked_file(link)->distrust, std::nullopt);
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  EXPECT_EQ(read_checked_file(link)->distrust, "all users can write it");
}

TEST_F(TrustedFile, ForRootTheCallerOfSudoIsTheUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  give_away(path_);
  ::setenv("SUDO_UID", "54321", 1);
  EXPECT_EQ(distrust(), "none");
  EXPECT_THAT(distrust(1000), HasSubstr("belongs to")) << "only root honours SUDO_UID";
  ::setenv("SUDO_UID", "543210", 1);
  EXPECT_THAT(distrust(), HasSubstr("belongs to"));
}

TEST_F(TrustedFile, ADirectoryIsNotRead) {
  EXPECT_THROW(read_checked_file(directory_), Error);
  ASSERT_EQ(::mkfifo((directory_ + "/fifo").c_str(), 0600), 0);
  EXPECT_THROW(read_checked_file(directory_ + "/fifo"), Error);
}

}  // namespace
}  // namespace metaflow::base
