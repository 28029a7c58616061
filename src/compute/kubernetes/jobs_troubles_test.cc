// Why jobs have no pods, and pods do not start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/kubernetes/jobs_testing.h"

namespace metaflow::kube {
namespace {

using testing::HasSubstr;

TEST_F(KubernetesJobsTest, WhyAJobHasNoPodIsFoundOut) {
  const std::string job = submit(1);
  cluster_.add_event({{"reason", "FailedCreate"},
                      {"message", "exceeded quota: compute"},
                      {"involvedObject", {{"name", job}, {"uid", "uid-" + job}}}});
  clock_.leap(20 * kSecond);
  wait_for("1 waiting: ");
  EXPECT_THAT(told_.lines.back(), HasSubstr("exceeded quota: compute"));
  EXPECT_FALSE(told_.states[1].hopeless);
}

TEST_F(KubernetesJobsTest, WhyAPodIsNotMadeReadyIsFoundOut) {
  const std::string job = submit(1);
  cluster_.tell("ADDED", job, "Pending", waiting("ContainerCreating"));
  wait_for("1 waiting: ");
  cluster_.add_event({{"reason", "FailedMount"},
                      {"message", "secret \"keys\" not found"},
                      {"lastTimestamp", "2026-11-22T13:04:54Z"},
                      {"involvedObject", {{"name", job + "-abc"}}}});
  clock_.leap(20 * kSecond);
  run_until([&] { return told_.lines.back().ends_with("FailedMount: secret \"keys\" not found"); });
  EXPECT_TRUE(told_.states[1].hopeless) << "only people can cure it";
  cluster_.tell("MODIFIED", job, "Running", running());
  wait_for("1 running: ");
  EXPECT_EQ(told_.states[1].trouble, "") << "it came late";
}

TEST_F(KubernetesJobsTest, APodThatIsNotMadeReadyThoughNothingIsWrong) {
  const std::string job = submit(1);
  cluster_.tell("ADDED", job, "Pending", waiting("PodInitializing"));
  wait_for("1 waiting: ");
  clock_.leap(20 * kSecond);
  run_until([&] { return told_.lines.back().ends_with("(no warnings; a large image takes its time)"); });
  EXPECT_FALSE(told_.states[1].hopeless);
}

TEST_F(KubernetesJobsTest, WhoMayNotSeeEventsIsToldNothingOfThem) {
  const std::string job = submit(1);
  cluster_.fail("GET events", status_reply(403, "Forbidden", "no events"));
  cluster_.tell("ADDED", job, "Pending", waiting("PodInitializing"));
  wait_for("1 waiting: ");
  clock_.leap(20 * kSecond);
  wait_for("1 waiting: ", 2);
  EXPECT_EQ(told_.lines.back(), "1 waiting: Pod is pending: PodInitializing");
}

TEST_F(KubernetesJobsTest, AJobThatSomebodyDeletedBeforeItHadAPod) {
  cluster_.lose(submit(1));
  clock_.leap(20 * kSecond);
  wait_for("1 no job: The job is gone");
}

TEST_F(KubernetesJobsTest, OneJobWithoutAPodIsLookedForAlone) {
  std::vector<std::string> made;
  for (compute::AttemptId id = 1; id <= 20; ++id) made.push_back(submit(id));
  for (std::size_t i = 1; i < made.size(); ++i) cluster_.tell("ADDED", made[i], "Running", running(), made[i]);
  for (compute::AttemptId id = 2; id <= 20; ++id) wait_for(std::to_string(id) + " running: ");
  cluster_.lose(made[0]);
  clock_.leap(20 * kSecond);
  wait_for("1 no job: The job is gone");
  EXPECT_EQ(cluster_.count("GET jobs/" + made[0]), 1U);
  for (const std::string& line : cluster_.asked()) EXPECT_NE(line, "GET jobs") << "all of them are asked for";
}

TEST_F(KubernetesJobsTest, ManyJobsWithoutAPodAreLookedForTogether) {
  std::vector<std::string> made;
  for (compute::AttemptId id = 1; id <= 20; ++id) made.push_back(submit(id));
  cluster_.lose(made[7]);
  clock_.leap(20 * kSecond);
  wait_for("8 no job: The job is gone");
  EXPECT_EQ(cluster_.count("GET jobs/"), 0U);
  EXPECT_EQ(told_.count("The job is gone"), 1U);
}

TEST_F(KubernetesJobsTest, ASweepWaitsForTheOneBefore) {
  submit(1);
  cluster_.fail("GET events", status_reply(503, "ServiceUnavailable", "away"));
  for (std::size_t i = 1; i <= 4; ++i) {
    clock_.leap(40 * kSecond);
    wait_for_call("GET events", i);
  }
  EXPECT_EQ(cluster_.count("GET jobs/"), 1U) << "the first sweep is not over";
}

// --- suspended jobs

TEST_F(KubernetesJobsTest, AJobThatIsSuspendedBeforeItHasAPodSaysSo) {
  const std::string job = submit(1);
  cluster_.suspend(job);
  clock_.leap(20 * kSecond);
  wait_for("1 waiting: The job is suspended: ");
  EXPECT_FALSE(told_.states[1].hopeless);
  cluster_.suspend(job, false);
  clock_.leap(20 * kSecond);
  run_until([&] { return told_.states[1].trouble.empty(); });
}

TEST_F(KubernetesJobsTest, ManyJobsThatAreSuspended) {
  std::vector<std::string> made;
  for (compute::AttemptId id = 1; id <= 20; ++id) made.push_back(submit(id));
  for (const std::string& job : made) cluster_.suspend(job);
  clock_.leap(20 * kSecond);
  wait_for(" waiting: The job is suspended: ", made.size());
  EXPECT_EQ(cluster_.count("GET jobs/"), 0U);
}

TEST_F(KubernetesJobsTest, AJobThatIsSuspendedWhileItsTaskRunsSaysWhyThatEnded) {
  const std::string job = submit(1);
  cluster_.tell("ADDED", job, "Running", running());
  wait_for("1 running: ");
  cluster_.suspend(job);
  cluster_.tell("DELETED", job, "Running", running());
  wait_for("1 ended: ");
  EXPECT_EQ(told_.lines.back(),
            "1 ended: The pod was ended by the cluster, on node n1: its job was suspended, by a queue of the cluster, "
            "such as Kueue, or by hand.");
  EXPECT_TRUE(told_.states[1].end.lost);
  wait_for_call("DELETE jobs/" + job);
}

TEST_F(KubernetesJobsTest, AJobThatIsSuspendedBeforeItsTaskBeganWaitsForAnotherPod) {
  const std::string job = submit(1);
  cluster_.tell("ADDED", job, "Pending", waiting("ContainerCreating"), "first");
  wait_for("1 waiting: ");
  cluster_.suspend(job);
  cluster_.tell("DELETED", job, "Pending", waiting("ContainerCreating"), "first");
  wait_for("1 waiting: The job is suspended: ");
  cluster_.suspend(job, false);
  cluster_.tell("DELETED", job, "Failed", terminated(143), "first");  // the last of it
  cluster_.tell("ADDED", job, "Running", running(), "second");
  wait_for("1 running: ");
  EXPECT_EQ(told_.states[1].trouble, "");
  EXPECT_EQ(told_.count("1 ended"), 0U);
  EXPECT_EQ(cluster_.count("DELETE"), 0U);
}

TEST_F(KubernetesJobsTest, AJobThatIsStoppedWhileItIsAskedWhyItsPodWasDeleted) {
  const std::string job = submit(1);
  cluster_.tell("ADDED", job, "Pending");
  wait_for("1 waiting: ");
  cluster_.suspend(job);
  cluster_.fail("GET jobs/", status_reply(503, "ServiceUnavailable", "away"), 1);
  cluster_.tell("DELETED", job, "Pending");
  wait_for_call("GET jobs/" + job);
  remove(1);
  wait_for("1 ended: ");
  EXPECT_EQ(cluster_.count("DELETE jobs/"), 1U);
}

}  // namespace
}  // namespace metaflow::kube
