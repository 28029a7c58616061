#include "compute/remote/container_platform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include <metaflow/error.h>

#include "store/memory/memory_storage.h"

namespace metaflow::compute {
namespace {

using testing::Contains;
using testing::Not;
using testing::Pair;

/// Sets variables, and unsets them when the test ends.
class ContainerPlatform : public testing::Test {
 protected:
  ~ContainerPlatform() override {
    for (const std::string& name : set_) ::unsetenv(name.c_str());
  }
  void set(const std::string& name, const std::string& value) {
    set_.push_back(name);
    ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::vector<std::string> set_;
};

TEST_F(ContainerPlatform, SettingsOverrideDefaults) {
  const RemoteOptions defaults{.unit = "pod", .uncounted_retries = 3};
  RemoteOptions options = remote_options(base::Settings(), "SOMEWHERE", defaults);
  EXPECT_EQ(options.unit, "pod");
  EXPECT_EQ(options.uncounted_retries, 3);
  EXPECT_EQ(options.patience, defaults.patience);

  set("METAFLOW_SOMEWHERE_UNCOUNTED_RETRIES", "0");
  set("METAFLOW_SOMEWHERE_PATIENCE", "7");
  options = remote_options(base::Settings(), "SOMEWHERE", defaults);
  EXPECT_EQ(options.uncounted_retries, 0);
  EXPECT_EQ(options.patience, 7'000'000);

  set("METAFLOW_SOMEWHERE_PATIENCE", "soon");
  EXPECT_THROW(remote_options(base::Settings(), "SOMEWHERE", defaults), Error);
}

TEST_F(ContainerPlatform, AFlowInTheImageNeedsNoPackage) {
  EXPECT_EQ(needs_of_containers("").program, Needs::Program::by_link);
  EXPECT_EQ(needs_of_containers("/opt/flow").program, Needs::Program::here);
  EXPECT_TRUE(needs_of_containers("/opt/flow").shared_store);
}

TEST_F(ContainerPlatform, VariablesLocateTheStoreAndHaveNoSecrets) {
  set("METAFLOW_S3_ENDPOINT_URL", "https://s3.example");
  set("METAFLOW_DATASTORE_SYSROOT_S3", "s3://settings/metaflow");
  set("AWS_REGION", "eu-north-1");
  set("AWS_SECRET_ACCESS_KEY", "hidden");
  const base::Settings settings;
  base::SystemClock clock;
  const RunSite site{settings, clock, "F", "./there/flow", "me", "s3"};
  const store::FlowStore store(std::make_shared<store::MemoryStorage>(), "F");
  const Variables variables = container_variables(site, store, "somewhere");
  EXPECT_THAT(variables, Contains(Pair("METAFLOW_USER", "me")));
  EXPECT_THAT(variables, Contains(Pair("METAFLOW_FLOW_FILENAME", "flow")));
  EXPECT_THAT(variables, Contains(Pair("METAFLOW_RUNTIME_ENVIRONMENT", "somewhere")));
  EXPECT_THAT(variables, Contains(Pair("METAFLOW_S3_ENDPOINT_URL", "https://s3.example")));
  EXPECT_THAT(variables, Contains(Pair("METAFLOW_DATATOOLS_S3ROOT", "s3://settings/metaflow/data")));
  EXPECT_THAT(variables, Contains(Pair("AWS_REGION", "eu-north-1")));
  EXPECT_THAT(variables, Not(Contains(Pair(testing::_, "hidden"))));
}

}  // namespace
}  // namespace metaflow::compute
