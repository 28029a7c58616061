#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "compute/platform.h"

namespace metaflow::compute {
namespace {

std::string platform_of(const std::vector<std::string>& with) {
  std::vector<graph::Decorator> decorators;
  for (const std::string& spec : with) decorators.push_back(platforms().decorators().parse(spec));
  try {
    return platforms().of_step("work", decorators).name();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_flow);
    return error.what();
  }
}

TEST(Platforms, AStepIsOnThePlatformThatItNames) {
  EXPECT_EQ(platform_of({"kubernetes", "resources", "retry"}), "kubernetes");
  EXPECT_EQ(platform_of({"resources:cpu=4"}), "local");
  EXPECT_EQ(platform_of({}), "local");
}

TEST(Platforms, AStepNamesOneAtMost) {
  EXPECT_EQ(platform_of({"local", "kubernetes"}),
            "Step *work* is marked for execution both on Kubernetes and this machine (local).\n"
            "Please use one or the other.");
}

TEST(Platforms, NamesAndDecoratorsBelongTogether) {
  for (const Platform* platform : platforms().all()) {
    EXPECT_EQ(platform->decorator().name, platform->name());
    EXPECT_FALSE(platform->title().empty() || platform->unit().empty());
  }
}

}  // namespace
}  // namespace metaflow::compute
