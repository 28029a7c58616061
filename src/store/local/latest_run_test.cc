#include "store/local/latest_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include <metaflow/error.h>

#include "base/files.h"

namespace metaflow::store {
namespace {

class LatestRun : public testing::Test {
 protected:
  LatestRun() {
    std::string name = testing::TempDir() + "latest_XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~LatestRun() override { std::filesystem::remove_all(root_); }
  std::string root_;
};

TEST_F(LatestRun, IsTheOneThatWasSet) {
  EXPECT_EQ(latest_run(root_, "F"), std::nullopt);
  set_latest_run(root_, "F", "17");
  set_latest_run(root_, "F", "argo-x");
  EXPECT_EQ(latest_run(root_, "F"), "argo-x");
  EXPECT_EQ(base::read_file(root_ + "/F/latest_run")->text(), "argo-x");
}

TEST_F(LatestRun, TrailingNewlineIsAllowed) {
  base::create_file(root_ + "/F/latest_run", " 17\n");
  EXPECT_EQ(latest_run(root_, "F"), "17");
}

TEST_F(LatestRun, EmptyFileMeansNoRun) {  // after a power loss
  base::create_file(root_ + "/F/latest_run", "");
  EXPECT_EQ(latest_run(root_, "F"), std::nullopt);
}

TEST_F(LatestRun, InvalidRunIdIsAnError) {
  for (const char* text : {"../../x", "17/start", "17\x1b[2J", "--with", "17 18"}) {
    base::replace_file(root_ + "/F/latest_run", text);
    try {
      latest_run(root_, "F");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::data_store);
      EXPECT_THAT(error.message(), testing::HasSubstr("is not the id of a run"));
      EXPECT_THAT(error.message(), testing::HasSubstr(root_ + "/F/latest_run"));
      EXPECT_THAT(error.message(), testing::Not(testing::HasSubstr("\x1b")));
    }
  }
}

}  // namespace
}  // namespace metaflow::store
