#include "base/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include <metaflow/error.h>

#include "base/files.h"

namespace metaflow::base {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A test with its own current directory, a home directory, and no METAFLOW variables of the environment.
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
  create_file(root_ + "/project/.metaflow/config.json", R"({"METAFLOW_RUN_B": "project", "METAFLOW_USER": "project"})");
  set("METAFLOW_USER", "environment");
  const Settings settings;
  EXPECT_EQ(settings.get("A"), "home");
  EXPECT_EQ(settings.get("RUN_B"), "project");
  EXPECT_EQ(settings.get("USER"), "environment");
  EXPECT_EQ(settings.find_in_files("METAFLOW_USER")->value, "project");
  EXPECT_EQ(settings.get("D"), std::nullopt);
  EXPECT_EQ(settings.get("D", "otherwise"), "otherwise");
}

TEST_F(SettingsTest, TheUseOfAProjectFileIsNoted) {
  create_file(root_ + "/home/.metaflowconfig/config.json", "{}");
  EXPECT_THAT(Settings().notes(), IsEmpty()) << "the user's own file needs no note";
  create_file(root_ + "/project/.metaflow/config.json", R"({"METAFLOW_USER": "ada", "comment": ""})");
  EXPECT_THAT(Settings().notes(), ElementsAre(HasSubstr(root_ + "/project/.metaflow/config.json' is used")));
}

TEST_F(SettingsTest, AProjectCannotSetReservedVariables) {
  create_file(root_ + "/home/.metaflowconfig/config.json", R"({"METAFLOW_SERVICE_URL": "https://own"})");
  create_file(root_ + "/project/.metaflow/config.json",
              R"({"METAFLOW_SERVICE_URL": "https://evil", "METAFLOW_DEFAULT_DECOSPECS": "environment:vars={}",
                  "METAFLOW_S3_VERIFY_CERTIFICATE": false, "METAFLOW_USER": "ada"})");
  const Settings settings;
  EXPECT_EQ(settings.get("SERVICE_URL"), "https://own");
  EXPECT_EQ(settings.get("DEFAULT_DECOSPECS"), std::nullopt);
  EXPECT_EQ(settings.get("S3_VERIFY_CERTIFICATE"), std::nullopt);
  EXPECT_EQ(settings.get("USER"), "ada");
  EXPECT_THAT(settings.notes(), ElementsAre(HasSubstr("is used"),
                                            HasSubstr("It cannot set METAFLOW_SERVICE_URL, METAFLOW_DEFAULT_DECOSPECS, "
                                                      "METAFLOW_S3_VERIFY_CERTIFICATE:")));
}

TEST_F(SettingsTest, AProjectFileWritableByOthersIsIgnored) {
  const std::string near = root_ + "/project/deep/.metaflow/config.json";
  create_file(near, R"({"METAFLOW_USER": "mallory", "METAFLOW_QUIET": true)");  // not even valid
  create_file(root_ + "/project/.metaflow/config.json", R"({"METAFLOW_USER": "ada"})");
  ASSERT_EQ(::chmod(near.c_str(), 0666), 0);
  const Settings settings;
  EXPECT_EQ(settings.get("USER"), "ada");
  EXPECT_EQ(settings.get("QUIET"), std::nullopt);
  EXPECT_THAT(settings.notes(), ElementsAre(HasSubstr(near + "' is not used: all users can write it"),
                                            HasSubstr(root_ + "/project/.metaflow/config.json' is used")));
}

TEST_F(SettingsTest, AUserConfigurationWritableByOthersIsRejected) {
  create_file(root_ + "/home/.metaflowconfig/config.json", R"({"METAFLOW_A": "home"})");
  ASSERT_EQ(::chmod((root_ + "/home/.metaflowconfig").c_str(), 0777), 0);
  try {
    Settings settings;
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_command);
    EXPECT_THAT(error.message(),
                HasSubstr(".metaflowconfig/config.json' cannot be trusted: all users can write its directory"));
    EXPECT_THAT(error.hint(), HasSubstr("chmod go-w"));
  }
}

TEST_F(SettingsTest, ReportsTheFileOfAValue) {
  create_file(root_ + "/home/.metaflowconfig/config.json", R"({"METAFLOW_A": 4})");
  set("METAFLOW_B", "5");
  const Settings settings;
  EXPECT_EQ(settings.find("METAFLOW_A")->value, "4");
  EXPECT_EQ(settings.find("METAFLOW_A")->file, root_ + "/home/.metaflowconfig/config.json");
  EXPECT_EQ(settings.find("METAFLOW_B")->file, "");
}

TEST_F(SettingsTest, WholeNumbers) {
  const Settings settings;
  EXPECT_EQ(settings.whole_number("S3_WORKER_COUNT", 1, 1000), std::nullopt);
  for (const char* text : {"0", "1001", "x", "8x", " 8", "8.0", "99999999999999999999"}) {
    ::setenv("METAFLOW_S3_WORKER_COUNT", text, 1);
    EXPECT_THROW(settings.whole_number("S3_WORKER_COUNT", 1, 1000), Error) << text;
  }
  ::setenv("METAFLOW_S3_WORKER_COUNT", "8", 1);
  EXPECT_EQ(settings.whole_number("S3_WORKER_COUNT", 1, 1000), 8);
  ::unsetenv("METAFLOW_S3_WORKER_COUNT");
}

TEST_F(SettingsTest, AnUnreadableFileIsNamed) {
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
  set("METAFLOW_PROFILE", "missing");
  try {
    Settings settings;
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("METAFLOW_PROFILE 'missing'"));
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

TEST_F(SettingsTest, TheNearestStoreUpwardsIsUsed) {
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

TEST_F(SettingsTest, UserName) {
  set("USER", "anna");
  set("METAFLOW_USER", "team");
  EXPECT_EQ(user_name(Settings()), "team");
}

}  // namespace
}  // namespace metaflow::base
