#include "base/failure_points.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include <metaflow/error.h>

#include "base/files.h"

namespace metaflow::base {
namespace {

class FailurePoints : public testing::Test {
 protected:
  FailurePoints() {
    std::string name = testing::TempDir() + "failure_points_XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~FailurePoints() override {
    set_failure_point("");
    std::filesystem::remove_all(directory_);
  }
  /// The error text of an operation; empty if it succeeds.
  template <class F>
  std::string error_of(F operation) {
    try {
      operation();
      return {};
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::data_store);
      return error.what();
    }
  }

  std::string directory_;
};

TEST_F(FailurePoints, TheOneCallFails) {
  set_failure_point("mkdir:EIO:2");
  EXPECT_FALSE(fails_at("mkdir"));
  EXPECT_FALSE(fails_at("open"));
  EXPECT_TRUE(fails_at("mkdir"));
  EXPECT_EQ(errno, EIO);
  EXPECT_FALSE(fails_at("mkdir"));
}

TEST_F(FailurePoints, Sticky) {
  set_failure_point("*:ENOSPC:2:sticky");
  EXPECT_FALSE(fails_at("mkdir"));
  EXPECT_TRUE(fails_at("open"));
  EXPECT_TRUE(fails_at("write"));
}

TEST_F(FailurePoints, Places) {
  set_failure_point("task.open:EIO:1:sticky");
  EXPECT_FALSE(fails_at("open")) << "this process is not a task";
  failure_points_in_task("work");
  EXPECT_TRUE(fails_at("open"));
  set_failure_point("work.open:EIO:1:sticky");
  failure_points_in_task("end");
  EXPECT_FALSE(fails_at("open"));
  failure_points_in_task("work");
  EXPECT_TRUE(fails_at("open"));
}

TEST_F(FailurePoints, InvalidSettingsAreRejected) {
  for (const char* setting : {"open", "nothing:EIO", "open:EFOO", "open:EIO:0", "open:EIO:x", "open:EIO:1:often",
                              "open:EINTR:1:sticky", "open:EIO:1:sticky:", ":EIO"})
    EXPECT_THROW(set_failure_point(setting), Error) << setting;
  EXPECT_FALSE(fails_at("open"));
}

TEST_F(FailurePoints, AnInterruptedCallIsRepeated) {
  for (const char* point : {"create", "write", "open", "read", "append"}) {
    set_failure_point(std::string(point) + ":EINTR");
    replace_file(directory_ + "/f", "text");
    append(open_to_append(directory_ + "/f"), directory_ + "/f", " more");
    EXPECT_EQ(read_file(directory_ + "/f")->text(), "text more") << point;
  }
}

TEST_F(FailurePoints, AFailedWriteIsReportedAndLeavesNoFile) {
  const std::string path = directory_ + "/file";
  for (const char* point : {"create", "write", "publish"}) {
    set_failure_point(std::string(point) + ":ENOSPC");
    const std::string said = error_of([&] { create_file(path, "text"); });
    EXPECT_THAT(said, testing::HasSubstr(directory_)) << point;
    EXPECT_THAT(said, testing::HasSubstr("No space left on device\nFree some space")) << point;
    EXPECT_TRUE(list_directory(directory_).empty()) << point;
  }
  set_failure_point("");
  create_file(path, "old");
  for (const char* point : {"create", "write", "replace"}) {
    set_failure_point(std::string(point) + ":EIO");
    EXPECT_THAT(error_of([&] { replace_file(path, "new"); }), testing::HasSubstr("'" + path + "': Input/output error"));
    EXPECT_EQ(read_file(path)->text(), "old") << point;
    EXPECT_EQ(list_directory(directory_).size(), 1U) << point;
  }
}

TEST_F(FailurePoints, AFailedReadIsNotAMissingFile) {
  create_file(directory_ + "/file", "text");
  for (const char* point : {"open", "read", "examine"}) {
    set_failure_point(std::string(point) + ":EMFILE");
    EXPECT_THAT(error_of([&] { read_file(directory_ + "/file"); }), testing::HasSubstr("Too many open files")) << point;
  }
  set_failure_point("list:EIO");
  EXPECT_THAT(error_of([&] { list_directory(directory_); }), testing::HasSubstr("Cannot list"));
}

}  // namespace
}  // namespace metaflow::base
