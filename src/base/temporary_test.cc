#include "base/temporary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include <metaflow/error.h>

#include "base/failure_points.h"

namespace metaflow::base {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Temporary : public testing::Test {
 protected:
  Temporary() : nowhere_(testing::TempDir() + "temporary_nowhere") {
    if (const char* before = std::getenv("TMPDIR")) before_ = before;
  }
  ~Temporary() override {
    set_failure_point("");
    ::unsetenv("TMPDIR");
    if (before_) ::setenv("TMPDIR", before_->c_str(), 1);
  }

  const std::string nowhere_;
  std::optional<std::string> before_;
};

TEST_F(Temporary, AMissingDirectoryIsNotCreated) {
  ::setenv("TMPDIR", nowhere_.c_str(), 1);
  SpoolFile file = make_temporary_file(10);
  EXPECT_EQ(std::filesystem::file_size("/proc/self/fd/" + std::to_string(file.fd())), 10U);
  const std::string directory = make_temporary_directory("temporary-");
  EXPECT_THAT(directory, StartsWith("/tmp/temporary-"));
  EXPECT_FALSE(exists(nowhere_));
  std::filesystem::remove(directory);
}

TEST_F(Temporary, AFileInsteadOfTheDirectory) {
  ::setenv("TMPDIR", "/dev/null", 1);
  make_temporary_file();
  std::filesystem::remove(make_temporary_directory("temporary-"));
}

TEST_F(Temporary, AFileIsPrivate) {
  for (const char* point : {"", "create:EOPNOTSUPP"}) {  // a file system without O_TMPFILE
    set_failure_point(point);
    const SpoolFile file = make_temporary_file();
    struct stat status {};
    ASSERT_EQ(::fstat(file.fd(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << point;
  }
}

TEST_F(Temporary, WithoutAUsableDirectoryTmpdirIsNamed) {
  ::setenv("TMPDIR", nowhere_.c_str(), 1);
  set_failure_point("create:ENOSPC:1:sticky");
  try {
    make_temporary_file();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr(nowhere_));
    EXPECT_THAT(error.hint(), HasSubstr("TMPDIR"));
  }
}

}  // namespace
}  // namespace metaflow::base
