#include "base/project_settings.h"

#include <gtest/gtest.h>

#include <string>

namespace metaflow::base {
namespace {

TEST(ProjectSettings, HarmlessVariablesAreAllowed) {
  for (const char* name : {"USER", "QUIET", "DEFAULT_DATASTORE", "DATASTORE_SYSROOT_LOCAL", "RUN_MAX_WORKERS", "RUN_N",
                           "RUN_TAGS", "RESUME_MAX_WORKERS", "KUBERNETES_CPU"})
    EXPECT_TRUE(is_allowed_in_project(std::string("METAFLOW_") + name)) << name;
}

TEST(ProjectSettings, OtherVariablesAreReservedForTheUser) {
  for (const char* name : {"DECOSPECS",
                           "RUN_DECOSPECS",
                           "RESUME_DECOSPECS",
                           "DEFAULT_DECOSPECS",
                           "PACKAGE_LIBRARIES",  // code
                           "KUBERNETES_CONTAINER_IMAGE",
                           "BATCH_CONTAINER_IMAGE",
                           "DEFAULT_CONTAINER_IMAGE",
                           "DEFAULT_CONTAINER_REGISTRY",
                           "KUBERNETES_FETCH_IMAGE",
                           "KUBERNETES_FLOW_IN_IMAGE",
                           "KUBERNETES_ANNOTATIONS",
                           "SERVICE_URL",
                           "S3_ENDPOINT_URL",
                           "DATASTORE_SYSROOT_S3",
                           "DATASTORE_ROOT",
                           "KUBERNETES_NAMESPACE",  // destinations
                           "KUBERNETES_CONTEXT",
                           "BATCH_JOB_QUEUE",
                           "RUN_RUN_ID_FILE",
                           "RUN_RUNNER_ATTRIBUTE_FILE",
                           "RESUME_RUN_ID_FILE",
                           "S3_VERIFY_CERTIFICATE",
                           "ALLOW_PLAIN_HTTP",  // connections
                           "SERVICE_AUTH_KEY",
                           "SERVICE_HEADERS",
                           "KUBERNETES_SECRETS",
                           "ECS_S3_ACCESS_IAM_ROLE",  // keys
                           "OF_A_VERSION_TO_COME"})
    EXPECT_FALSE(is_allowed_in_project(std::string("METAFLOW_") + name)) << name;
  EXPECT_FALSE(is_allowed_in_project("PATH"));
  EXPECT_FALSE(is_allowed_in_project("LD_PRELOAD"));
}

}  // namespace
}  // namespace metaflow::base
