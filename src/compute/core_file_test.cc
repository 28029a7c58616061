#include "compute/core_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"

namespace metaflow::compute {
namespace {

TEST(CoreFile, PipedToAProgram) {
  EXPECT_EQ(describe_core_file("|/usr/lib/systemd/systemd-coredump %P %u %g\n", "/work", "sweep", 4711),
            "see `coredumpctl info 4711`");
  EXPECT_EQ(describe_core_file("|/usr/share/apport/apport -p%p\n", "/work", "sweep", 4711),
            "piped to `/usr/share/apport/apport -p%p`");
}

TEST(CoreFile, FileIfItIsKnown) {
  std::string directory = testing::TempDir() + "core_XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  for (const char* name : {"core.4711", "core", "core.a_program_with_-4712", "100%.4713"})
    base::create_file(directory + "/" + name, "");
  EXPECT_EQ(describe_core_file("core\n", directory, "sweep", 4711), directory + "/core.4711");
  EXPECT_EQ(describe_core_file("core\n", directory, "sweep", 4799), directory + "/core");
  EXPECT_EQ(describe_core_file("core.%e-%p\n", directory, "a_program_with_a_long_name", 4712),
            directory + "/core.a_program_with_-4712");
  EXPECT_EQ(describe_core_file(directory + "/100%%.%P\n", "/elsewhere", "sweep", 4713), directory + "/100%.4713");
  std::filesystem::remove_all(directory);
}

TEST(CoreFile, DirectoryIfTheFileIsNotKnown) {
  EXPECT_EQ(describe_core_file("/var/crash/core.%e.%t\n", "/work", "sweep", 4711), "in /var/crash");
  EXPECT_EQ(describe_core_file("core.%p\n", "/nowhere", "sweep", 4711), "in /nowhere");
}

}  // namespace
}  // namespace metaflow::compute
