#include "compute/batch/job_state.h"

#include <gtest/gtest.h>

namespace metaflow::awsbatch {
namespace {

using compute::EndedBy;
using compute::JobEnd;

Job failed(const std::string& reason, std::optional<int> exit_code = std::nullopt,
           const std::string& container_reason = "") {
  return {.id = "j",
          .status = JobStatus::failed,
          .reason = reason,
          .exit_code = exit_code,
          .container_reason = container_reason};
}

TEST(JobState, Waiting) {
  Job job{.id = "j", .status = JobStatus::runnable};
  EXPECT_EQ(waiting_of(job), "");
  job.reason = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no m5.large";
  EXPECT_EQ(waiting_of(job), "RUNNABLE: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no m5.large");
  EXPECT_FALSE(is_hopeless(job)) << "instances may become available";
  job.reason = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - too small";
  EXPECT_TRUE(is_hopeless(job));
  job.status = JobStatus::running;
  EXPECT_EQ(waiting_of(job), "");
  EXPECT_FALSE(is_hopeless(job));
}

TEST(JobState, ExitedByItself) {
  EXPECT_TRUE(end_of({.id = "j", .status = JobStatus::succeeded}).succeeded);
  const JobEnd three = end_of(failed("Essential container in task exited", 3));
  EXPECT_EQ(three.by, EndedBy::task);
  EXPECT_EQ(three.exit_code, 3);
  EXPECT_EQ(three.cause, "Task exited with code 3.");
  EXPECT_EQ(end_of(failed("Essential container in task exited", 139)).cause, "Task was killed by SIGSEGV.");
  EXPECT_EQ(end_of(failed("Essential container in task exited", 97)).by, EndedBy::bootstrap);
  EXPECT_EQ(end_of(failed("Essential container in task exited", 98)).cause,
            "The task could not use the datastore. Its role needs access: METAFLOW_ECS_S3_ACCESS_IAM_ROLE, or "
            "iam_role, names the role.");
}

TEST(JobState, OutOfMemory) {
  const JobEnd ending = end_of(
      failed("Essential container in task exited", 137, "OutOfMemoryError: Container killed due to memory usage"));
  EXPECT_EQ(ending.by, EndedBy::memory);
  EXPECT_EQ(ending.cause,
            "Task ran out of memory: its container was killed (OutOfMemoryError: Container killed due "
            "to memory usage).");
}

TEST(JobState, ReclaimedInstances) {
  for (const char* reason :
       {"Host EC2 (instance i-0123456789abcdef0) terminated.", "Your Spot Task was interrupted."}) {
    const JobEnd ending = end_of(failed(reason));
    EXPECT_EQ(ending.by, EndedBy::cluster);
    EXPECT_EQ(ending.cause, std::string("AWS terminated the job: ") + reason);
    EXPECT_TRUE(ending.lost);
  }
  EXPECT_EQ(end_of(failed("")).by, EndedBy::cluster);
  EXPECT_FALSE(end_of(failed("")).lost);
}

TEST(JobState, TimedOut) {
  EXPECT_EQ(end_of(failed("Job attempt duration exceeded timeout", 137)).by, EndedBy::deadline);
}

TEST(JobState, TerminatedExternally) {
  Job job = failed("enough", 143);
  job.terminated = true;
  EXPECT_EQ(end_of(job).by, EndedBy::cluster);
  EXPECT_EQ(end_of(job).cause, "The job was terminated externally: enough.");
}

TEST(JobState, NeverStarted) {
  const JobEnd missing =
      end_of(failed("Task failed to start", std::nullopt,
                    "CannotPullContainerError: pull image manifest has been retried 1 time(s): not found"));
  EXPECT_EQ(missing.by, EndedBy::bootstrap);
  EXPECT_EQ(missing.cause,
            "The container could not be started: CannotPullContainerError: pull image manifest has been "
            "retried 1 time(s): not found.");
  EXPECT_EQ(end_of(failed("Task failed to start", std::nullopt,
                          "CannotPullContainerError: toomanyrequests: You have reached your pull rate limit"))
                .by,
            EndedBy::cluster)
      << "it is transient";
  EXPECT_EQ(
      end_of(failed("Task failed to start", 1, "CannotStartContainerError: exec /bin/sh: exec format error")).cause,
      "The flow was built for another architecture than that of the machine.");
}

TEST(JobState, Lost) { EXPECT_EQ(end_of_lost("j").cause, "AWS Batch no longer knows the job j."); }

}  // namespace
}  // namespace metaflow::awsbatch
