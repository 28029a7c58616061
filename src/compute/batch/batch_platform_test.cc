#include "compute/batch/batch_platform.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include <metaflow/error.h>

namespace metaflow::awsbatch {
namespace {

using compute::platforms;

std::vector<graph::Decorator> parse(const std::vector<std::string>& specs) {
  std::vector<graph::Decorator> decorators;
  for (const std::string& spec : specs) decorators.push_back(platforms().decorators().parse(spec));
  return decorators;
}

TEST(BatchPlatform, DecoratorSelectsBatch) {
  EXPECT_EQ(&platforms().of_step("work", parse({"batch", "resources", "retry"})), &batch_platform());
}

TEST(BatchPlatform, TwoPlatformsAreRefusedInMetaflowsWords) {
  try {
    platforms().of_step("work", parse({"kubernetes", "batch"}));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_flow);
    EXPECT_STREQ(error.what(),
                 "Step *work* is marked for execution both on AWS Batch and Kubernetes.\n"
                 "Please use one or the other.");
  }
}

/// Sets variables of a job, until the end of a test.
class JobVariables {
 public:
  JobVariables(const char* place, const char* job) {
    if (place != nullptr) ::setenv(kPlace, place, 1);
    if (job != nullptr) ::setenv(kJob, job, 1);
  }
  ~JobVariables() {
    ::unsetenv(kPlace);
    ::unsetenv(kJob);
  }

 private:
  static constexpr const char* kPlace = "AWS_BATCH_JOB_ARRAY_INDEX";
  static constexpr const char* kJob = "AWS_BATCH_JOB_ID";
};

std::optional<std::uint64_t> place(const char* index, const char* job) {
  const JobVariables variables(index, job);
  return batch_platform().place_in_array();
}

TEST(BatchPlatform, PlaceInAnArrayComesFromTheEnvironment) {
  EXPECT_EQ(place("7", "abc:7"), 7U);
  EXPECT_EQ(place(nullptr, "abc:12"), 12U);
  EXPECT_EQ(place(nullptr, "abc"), std::nullopt) << "a job of its own";
  EXPECT_EQ(place(nullptr, nullptr), std::nullopt) << "not on AWS Batch";
  EXPECT_EQ(place("x", nullptr), std::nullopt);
}

}  // namespace
}  // namespace metaflow::awsbatch
