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

TEST(Platforms, DecoratorSelectsThePlatform) {
  EXPECT_EQ(platform_of({"kubernetes", "resources", "retry"}), "kubernetes");
  EXPECT_EQ(platform_of({"resources:cpu=4"}), "local");
  EXPECT_EQ(platform_of({}), "local");
}

TEST(Platforms, TwoPlatformsAreRefused) {
  EXPECT_EQ(platform_of({"batch", "kubernetes"}),
            "Step *work* is marked for execution both on AWS Batch and Kubernetes.\n"
            "Please use one or the other.");
}

TEST(Platforms, LocalOverridesOtherPlatforms) {
  EXPECT_EQ(platform_of({"local", "kubernetes"}), "local");
  EXPECT_EQ(platform_of({"batch", "local:enforce=true", "kubernetes"}), "local");
}

TEST(Platforms, TooLongVariableIsRefused) {
  auto with_value = [](std::size_t size) { return "environment:vars={\"A\":\"" + std::string(size, 'y') + "\"}"; };
  EXPECT_EQ(platform_of({with_value(131'069)}), "local");
  try {
    platform_of({with_value(140'000)});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_value);
    EXPECT_NE(error.message().find("the value of 'A' has 140,000 bytes"), std::string::npos) << error.message();
  }
}

TEST(Platforms, NamesMatchDecorators) {
  for (const Platform* platform : platforms().all()) {
    EXPECT_EQ(platform->decorator().name, platform->name());
    EXPECT_FALSE(platform->title().empty() || platform->unit().empty());
  }
}

}  // namespace
}  // namespace metaflow::compute
