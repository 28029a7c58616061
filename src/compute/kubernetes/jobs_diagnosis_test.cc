// Why jobs have no pods, and pods do not start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/kubernetes/jobs_testing.h"

namespace metaflow::kube {
namespace {

using testing::HasSubstr;

TEST_F(KubernetesJobsTest, EventsExplainAJobWithoutAPod) {
  const std::string job = submit(1);
  cluster_.add_event({{"reason", "FailedCreate"},
                      {"message", "exceeded quota: compute"},
                      {"involvedObject", {{"name", job}, {"uid", "uid-" + job}}}});
  clock_.leap(20 * kSecond);
  wait_for("1 waiting: ");
  EXPECT_THAT(events_.lines.back(), HasSubstr("exceeded quota: compute"));
  EXPECT_FALSE(events_.states[1].hopeless);
}

TEST_F(KubernetesJobsTest, EventsExplainASlowPod) {
  const std::string job = submit(1);
  cluster_.send("ADDED", job, "Pending", waiting("ContainerCreating"));
  wait_for("1 waiting: ");
  cluster_.add_event({{"reason", "FailedMount"},
                      {"message", "secret \"keys\" not found"},
                      {"lastTimestamp", "2026-11-22T13:04:54Z"},
                      {"involvedObject", {{"name", job + "-abc"}}}});
  clock_.leap(20 * kSecond);
  run_until([&] { return events_.lines.back().ends_with("FailedMount: secret \"keys\" not found"); });
  EXPECT_TRUE(events_.states[1].hopeless) << "it does not resolve itself";
  cluster_.send("MODIFIED", job, "Running", running());
  wait_for("1 running: ");
  EXPECT_EQ(events_.states[1].trouble, "") << "the warning was outdated";
}

TEST_F(KubernetesJobsTest, SlowPodWithoutWarnings) {
  const std::string job = submit(1);
  cluster_.send("ADDED", job, "Pending", waiting("PodInitializing"));
  wait_for("1 waiting: ");
  clock_.leap(20 * kSecond);
  run_until([&] { return events_.lines.back().ends_with("(no warnings; a large image takes its time)"); });
  EXPECT_FALSE(events_.states[1].hopeless);
}

TEST_F(KubernetesJobsTest, MissingPermissionForEventsIsIgnored) {
  const std::string job = submit(1);
  cluster_.fail("GET events", status_reply(403, "Forbidden", "no events"));
  cluster_.send("ADDED", job, "Pending", waiting("PodInitializing"));
  wait_for("1 waiting: ");
  clock_.leap(20 * kSecond);
  wait_for("1 waiting: ", 2);
  EXPECT_EQ(events_.lines.back(), "1 waiting: Pod is pending: PodInitializing");
}

TEST_F(KubernetesJobsTest, JobDeletedBeforeItHadAPod) {
  cluster_.lose(submit(1));
  clock_.leap(20 * kSecond);
  wait_for("1 no job: The job was deleted externally before it had a pod.");
}

TEST_F(KubernetesJobsTest, OneJobWithoutAPodIsReadAlone) {
  std::vector<std::string> made;
  for (compute::AttemptId id = 1; id <= 20; ++id) made.push_back(submit(id));
  for (std::size_t i = 1; i < made.size(); ++i) cluster_.send("ADDED", made[i], "Running", running(), made[i]);
  for (compute::AttemptId id = 2; id <= 20; ++id) wait_for(std::to_string(id) + " running: ");
  cluster_.lose(made[0]);
  clock_.leap(20 * kSecond);
  wait_for("1 no job: The job was deleted externally");
  EXPECT_EQ(cluster_.count("GET jobs/" + made[0]), 1U);
  for (const std::string& line : cluster_.asked()) EXPECT_NE(line, "GET jobs") << "all jobs are listed";
}

TEST_F(KubernetesJobsTest, ManyJobsWithoutAPodAreListed) {
  std::vector<std::string> made;
  for (compute::AttemptId id = 1; id <= 20; ++id) made.push_back(submit(id));
  cluster_.lose(made[7]);
  clock_.leap(20 * kSecond);
  wait_for("8 no job: The job was deleted externally");
  EXPECT_EQ(cluster_.count("GET jobs/"), 0U);
  EXPECT_EQ(events_.count("The job was deleted externally"), 1U);
}

TEST_F(KubernetesJobsTest, SweepWaitsForThePreviousOne) {
  submit(1);
  cluster_.fail("GET events", status_reply(503, "ServiceUnavailable", "away"));
  for (std::size_t i = 1; i <= 4; ++i) {
    clock_.leap(40 * kSecond);
    wait_for_call("GET events", i);
    wait_for_call("GET jobs/");  // it has a connection of its own
  }
  EXPECT_EQ(cluster_.count("GET jobs/"), 1U) << "the first sweep is not over";
}

// --- suspended jobs

TEST_F(KubernetesJobsTest, JobSuspendedBeforeItHasAPod) {
  const std::string job = submit(1);
  cluster_.suspend(job);
  clock_.leap(20 * kSecond);
  wait_for("1 waiting: The job is suspended: ");
  EXPECT_FALSE(events_.states[1].hopeless);
  cluster_.suspend(job, false);
  clock_.leap(20 * kSecond);
  run_until([&] { return events_.states[1].trouble.empty(); });
}

TEST_F(KubernetesJobsTest, ManySuspendedJobs) {
  std::vector<std::string> made;
  for (compute::AttemptId id = 1; id <= 20; ++id) made.push_back(submit(id));
  for (const std::string& job : made) cluster_.suspend(job);
  clock_.leap(20 * kSecond);
  wait_for(" waiting: The job is suspended: ", made.size());
  EXPECT_EQ(cluster_.count("GET jobs/"), 0U);
}

TEST_F(KubernetesJobsTest, JobSuspendedWhileItsTaskRuns) {
  const std::string job = submit(1);
  cluster_.send("ADDED", job, "Running", running());
  wait_for("1 running: ");
  cluster_.suspend(job);
  cluster_.send("DELETED", job, "Running", running());
  wait_for("1 ended: ");
  EXPECT_EQ(events_.lines.back(),
            "1 ended: The cluster terminated the pod on node n1: its job was suspended by a queue such as Kueue, or "
            "manually.");
  EXPECT_TRUE(events_.states[1].end.lost);
  wait_for_call("DELETE jobs/" + job);
}

TEST_F(KubernetesJobsTest, JobSuspendedBeforeItsTaskBeganWaitsForAnotherPod) {
  const std::string job = submit(1);
  cluster_.send("ADDED", job, "Pending", waiting("ContainerCreating"), "first");
  wait_for("1 waiting: ");
  cluster_.suspend(job);
  cluster_.send("DELETED", job, "Pending", waiting("ContainerCreating"), "first");
  wait_for("1 waiting: The job is suspended: ");
  cluster_.suspend(job, false);
  cluster_.send("DELETED", job, "Failed", terminated(143), "first");  // its last event
  cluster_.send("ADDED", job, "Running", running(), "second");
  wait_for("1 running: ");
  EXPECT_EQ(events_.states[1].trouble, "");
  EXPECT_EQ(events_.count("1 ended"), 0U);
  EXPECT_EQ(cluster_.count("DELETE"), 0U);
}

TEST_F(KubernetesJobsTest, JobStoppedWhileItIsReadForTheReason) {
  const std::string job = submit(1);
  cluster_.send("ADDED", job, "Pending");
  wait_for("1 waiting: ");
  cluster_.suspend(job);
  cluster_.fail("GET jobs/", status_reply(503, "ServiceUnavailable", "away"), 1);
  cluster_.send("DELETED", job, "Pending");
  wait_for_call("GET jobs/" + job);
  remove(1);
  wait_for("1 ended: ");
  EXPECT_EQ(cluster_.count("DELETE jobs/"), 1U);
}

}  // namespace
}  // namespace metaflow::kube
