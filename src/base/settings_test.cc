#include "base/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include <metaflow/error.h>

#include "base/files.h"

namespace metaflow::base {
namespace {

using testing::HasSubstr;

/// A directory of its own to stand in, a home, no METAFLOW variables but those of the test.
class SettingsTest : public testing::Test {
 protected:
  SettingsTest() {
    std::string name = testing::TempDir() + "settings_XXXXXX";
    root_ = ::mkdtemp(name.data());
    before_ = current_directory();
    make_directories(root_ + "/home");
    make_directories(root_ + "/project/deep");
    EXPECT_EQ(::chdir((root_ + "/project/deep").c_str()), 0);
    set("HOME", root_ + "/home");
  }
  ~SettingsTest() override {
    for (const auto& [name, value] : saved_) {
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
    }
    EXPECT_EQ(::chdir(before_.c_str()), 0);
    std::filesystem::remove_all(root_);
  }
  void set(const std::string& name, const std::string& value) {
    const char* old = std::getenv(name.c_str());
    saved_.emplace(name, old != nullptr ? std::optional<std::string>(old) : std::nullopt);
    ::setenv(name.c_str(), value.c_str(), 1);
  }

  std::string root_;
  std::string before_;
  std::map<std::string, std::optional<std::string>> saved_;
};

TEST_F(SettingsTest, EnvironmentThenProjectThenHome) {
  create_file(root_ + "/home/.metaflowconfig/config.json", R"({"METAFLOW_A": "home", "METAFLOW_B": "home"})");
  create_file(root_ + "/project/.metaflow/config.json", R"({"METAFLOW_B": "project", "METAFLOW_C": "project"})");
  set("METAFLOW_C", "environment");
  const Settings settings;
  EXPECT_EQ(settings.get("A"), "home");
  EXPECT_EQ(settings.get("B"), "project");
  EXPECT_EQ(settings.get("C"), "environment");
  EXPECT_EQ(settings.get("D"), std::nullopt);
  EXPECT_EQ(settings.get("D", "otherwise"), "otherwise");
}

TEST_F(SettingsTest, TellsWhichFileAValueIsFrom) {
  create_file(root_ + "/home/.metaflowconfig/config.json", R"({"METAFLOW_A": 4})");
  set("METAFLOW_B", "5");
  const Settings settings;
  EXPECT_EQ(settings.find("METAFLOW_A")->value, "4");
  EXPECT_EQ(settings.find("METAFLOW_A")->file, root_ + "/home/.metaflowconfig/config.json");
  EXPECT_EQ(settings.find("METAFLOW_B")->file, "");
}

TEST_F(SettingsTest, AFileThatCannotBeReadIsNamed) {
  make_directories(root_ + "/home/.metaflowconfig/config.json");
  try {
    Settings settings;
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr(".metaflowconfig/config.json"));
    EXPECT_THAT(error.hint(), HasSubstr("METAFLOW_HOME"));
  }
}

TEST_F(SettingsTest, Profiles) {
  create_file(root_ + "/home/.metaflowconfig/config.json", R"({"METAFLOW_A": "plain"})");
  create_file(root_ + "/home/.metaflowconfig/config_team.json", R"({"METAFLOW_A": "team"})");
  set("METAFLOW_PROFILE", "team");
  EXPECT_EQ(Settings().get("A"), "team");
  set("METAFLOW_PROFILE", "nobody");
  try {
    Settings settings;
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("METAFLOW_PROFILE 'nobody'"));
  }
}

TEST_F(SettingsTest, ADamagedFileIsNamed) {
  create_file(root_ + "/home/.metaflowconfig/config.json", "{");
  try {
    Settings settings;
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(root_ + "/home/.metaflowconfig/config.json"));
  }
}

TEST_F(SettingsTest, TheStoreIsTheNearestOneUpwards) {
  bool is_new = false;
  EXPECT_EQ(local_root(Settings(), is_new), root_ + "/project/deep/.metaflow");
  EXPECT_TRUE(is_new);
  make_directories(root_ + "/project/.metaflow");
  EXPECT_EQ(local_root(Settings(), is_new), root_ + "/project/.metaflow");
  EXPECT_FALSE(is_new);
  set("METAFLOW_DATASTORE_SYSROOT_LOCAL", root_ + "/elsewhere");
  EXPECT_EQ(local_root(Settings(), is_new), root_ + "/elsewhere/.metaflow");
  EXPECT_TRUE(is_new);
}

TEST_F(SettingsTest, WhoRunsThis) {
  set("USER", "anna");
  set("METAFLOW_USER", "team");
  EXPECT_EQ(user_name(Settings()), "team");
}

}  // namespace
}  // namespace metaflow::base
