#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "compute/kubernetes/jobs_testing.h"

namespace metaflow::kube {
namespace {

using compute::order_of;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

// --- from attempt to job

TEST_F(KubernetesJobsTest, StatesOfThePodAreReported) {
  const std::string job = submit(1);
  EXPECT_THAT(cluster_.jobs(), ElementsAre(job));
  cluster_.send("ADDED", job, "Pending");
  wait_for("1 waiting: ");
  cluster_.send("MODIFIED", job, "Running", running());
  wait_for("1 running: ");
  cluster_.send("MODIFIED", job, "Failed", terminated(3));
  wait_for("1 ended: ");
  EXPECT_EQ(events_.lines.back(), "1 ended: Task exited with code 3.");
  EXPECT_THAT(events_.lines, Contains("1 running: Pod is running on node n1."));
  EXPECT_EQ(events_.states[1].end.exit_code, 3);
  EXPECT_EQ(cluster_.count("DELETE"), 0U) << "finished jobs are kept for debugging";
}

TEST_F(KubernetesJobsTest, PodWithRunningSidecarsIsRemovedAfterItsTask) {
  const std::string job = submit(1);
  cluster_.send_status("ADDED", job, meshed("Running", running(), running()));
  wait_for("1 running: ");
  cluster_.send_status("MODIFIED", job, meshed("Running", terminated(3), running()));
  wait_for("1 ended: ");
  EXPECT_EQ(cluster_.count("DELETE"), 0U) << "its log may still be read";
  jobs().forget(1);
  wait_for_call("DELETE jobs/" + job);
}

TEST_F(KubernetesJobsTest, PodWithEndedSidecarsStays) {
  const std::string job = submit(1);
  cluster_.send_status("ADDED", job, meshed("Running", terminated(3), running()));
  wait_for("1 ended: ");
  cluster_.send_status("MODIFIED", job, meshed("Failed", terminated(3), terminated(0)));
  const std::string other = submit(2);
  cluster_.send("ADDED", other, "Running", running());
  wait_for("2 running: ");
  jobs().forget(1);
  end();
  EXPECT_EQ(cluster_.count("DELETE jobs/"), 0U);
}

TEST_F(KubernetesJobsTest, EndOfAFailedInitContainersLogIsReported) {
  cluster_.set_log("iptables: denied\n");
  const std::string job = submit(1);
  cluster_.send_status("ADDED", job,
                       {{"phase", "Failed"},
                        {"initContainerStatuses", Json::list({{{"name", "mesh-init"}, {"state", terminated(126)}}})}});
  wait_for("1 ended: ");
  EXPECT_THAT(events_.lines.back(), HasSubstr("init container mesh-init"));
  bool is_read = false;
  jobs().read_kept_log(1, [&](const std::string& failure) { is_read = failure.empty(); });
  run_until([&] { return is_read; });
  EXPECT_THAT(events_.lines, Contains("1 log iptables: denied\n"));
  EXPECT_EQ(cluster_.count("GET pods/" + job + "-abc/log"), 1U);
}

TEST_F(KubernetesJobsTest, SuspendedJobIsReported) {
  cluster_.suspend_jobs();
  const std::string job = submit(1);
  EXPECT_THAT(events_.lines, Contains(HasSubstr("1 waiting: The job is suspended: ")));
  EXPECT_FALSE(events_.states[1].hopeless);
  cluster_.send("ADDED", job, "Pending");
  run_until([&] { return events_.states[1].trouble.empty(); });
}

TEST_F(KubernetesJobsTest, RefusedJobIsReported) {
  cluster_.fail("POST jobs", status_reply(403, "Forbidden", "no rights"));
  jobs().submit(order_of(1));
  wait_for("1 no job");
  EXPECT_THAT(events_.lines, ElementsAre(AllOf(StartsWith("1 no job, hopeless: Unable to launch Kubernetes job."),
                                               HasSubstr("no rights"))));
}

TEST_F(KubernetesJobsTest, LostAnswerCreatesNoSecondJob) {
  cluster_.fail("POST jobs", {.reset = true}, 1, true);
  const std::string job = submit(1);
  EXPECT_EQ(cluster_.count("POST jobs"), 2U);
  EXPECT_THAT(cluster_.jobs(), ElementsAre(job));
  EXPECT_EQ(events_.count("1 job"), 1U);
}

TEST_F(KubernetesJobsTest, ThrottledSubmissionIsRetried) {
  cluster_.fail("POST jobs", status_reply(429, "TooManyRequests", "slow down"), 2);
  submit(1);
  EXPECT_EQ(cluster_.count("POST jobs"), 3U);
  EXPECT_EQ(events_.count("no job"), 0U);
}

TEST_F(KubernetesJobsTest, EachTryIsItsOwnJob) {
  const std::string first = submit(1);
  jobs().forget(1);
  events_.take();
  jobs().submit(order_of(1, 1));
  wait_for("1 job ");
  EXPECT_THAT(events_.lines, testing::Not(Contains("1 job " + first)));
  EXPECT_THAT(cluster_.jobs(), SizeIs(2));
}

TEST_F(KubernetesJobsTest, JobsWaitForTheLinkToTheirPackage) {
  options_.delivery.flow_in_image.clear();
  options_.delivery.package.path = "F/data/ab/abc";
  submit(1);
  const auto asked = cluster_.asked();
  EXPECT_LT(std::find(asked.begin(), asked.end(), "POST secrets"), std::find(asked.begin(), asked.end(), "POST jobs"));
  end();
  EXPECT_EQ(cluster_.count("DELETE secrets/"), 1U);
}

TEST_F(KubernetesJobsTest, WithoutASecretAttemptsFail) {
  options_.delivery.flow_in_image.clear();
  cluster_.fail("POST secrets", status_reply(403, "Forbidden", "no secrets"));
  jobs().submit(order_of(1));
  jobs().submit(order_of(2));
  wait_for("no job, hopeless", 2);
  EXPECT_EQ(cluster_.count("POST jobs"), 0U);
}

// --- the watch

TEST_F(KubernetesJobsTest, EndedWatchIsRestarted) {
  const std::string job = submit(1);
  cluster_.send("ADDED", job, "Pending");
  wait_for("1 waiting: ");
  cluster_.end_watch();
  run_until([&] {
    clock_.leap(kSecond / 10);
    loop_.poll();
    return cluster_.count("GET pods") >= 3;
  });
  cluster_.send("MODIFIED", job, "Running", running());
  wait_for("1 running: ");
  EXPECT_EQ(events_.count("1 running"), 1U);
}

TEST_F(KubernetesJobsTest, MissingPermissionForPodsFailsAttempts) {
  cluster_.fail("GET pods", status_reply(403, "Forbidden", "no pods"));
  jobs().submit(order_of(1));
  run_until([&] { return events_.count("1 no job, hopeless: ") == 1; });
  EXPECT_THAT(events_.lines, Contains(HasSubstr("no pods"))) << "the job may have been made meanwhile";
}

TEST_F(KubernetesJobsTest, VanishedPodEndsItsJob) {
  const std::string job = submit(1);
  cluster_.send("ADDED", job, "Running", running());
  wait_for("1 running: ");
  cluster_.send("DELETED", job, "Running", running());
  wait_for("1 ended: ");
  wait_for_call("DELETE jobs/" + job);
  EXPECT_FALSE(events_.states[1].end.succeeded);
  EXPECT_EQ(events_.states[1].end.by, compute::EndedBy::cluster);
}

TEST_F(KubernetesJobsTest, SecondPodOfAnEndedJobIsRemoved) {
  const std::string job = submit(1);
  cluster_.send("ADDED", job, "Failed", terminated(1));
  wait_for("1 ended: ");
  jobs().forget(1);
  cluster_.send("ADDED", job, "Pending", nullptr, "another");
  wait_for_call("DELETE jobs/" + job);
}

// --- removal

TEST_F(KubernetesJobsTest, UnsentAttemptIsWithdrawn) {
  jobs().submit(order_of(1));
  remove(1);
  wait_for("1 removed, gone");
  jobs().forget(1);
  jobs().submit(order_of(2));
  wait_for("2 job ");
  EXPECT_THAT(cluster_.jobs(), SizeIs(1));
}

TEST_F(KubernetesJobsTest, JobWithoutAPodIsGoneWhenItIsRemoved) {
  submit(1);
  remove(1);
  wait_for("1 removed, gone");
  EXPECT_THAT(cluster_.jobs(), IsEmpty());
}

TEST_F(KubernetesJobsTest, PodHasTimeToEnd) {
  const std::string job = submit(1);
  cluster_.send("ADDED", job, "Running", running());
  wait_for("1 running: ");
  remove(1);
  remove(1);
  wait_for("1 removed");
  EXPECT_EQ(events_.count("1 removed, gone"), 0U);
  cluster_.send("MODIFIED", job, "Failed", terminated(143));
  wait_for("1 ended: ");
  EXPECT_EQ(cluster_.count("DELETE jobs/"), 1U);
}

TEST_F(KubernetesJobsTest, RemovalDuringTheCreation) {
  cluster_.fail("POST jobs", {.reset = true}, 1, true);
  jobs().submit(order_of(1));
  wait_for_call("POST jobs");
  remove(1);
  wait_for("1 removed, gone");
  EXPECT_THAT(cluster_.jobs(), IsEmpty());
}

TEST_F(KubernetesJobsTest, JobForgottenDuringTheCreationIsRemoved) {
  cluster_.fail("POST jobs", {.reset = true}, 1, true);
  jobs().submit(order_of(1));
  wait_for_call("POST jobs");
  remove(1);
  jobs().forget(1);
  end();
  EXPECT_THAT(cluster_.jobs(), IsEmpty());
  EXPECT_EQ(events_.count("1 job"), 0U);
}

TEST_F(KubernetesJobsTest, ManyAreRemovedTogether) {
  std::vector<compute::AttemptId> all;
  for (compute::AttemptId id = 1; id <= kManyJobs; ++id) all.push_back(id);
  for (const compute::AttemptId id : all) submit(id);
  jobs().remove(all);
  wait_for("removed, gone", all.size());
  EXPECT_EQ(cluster_.count("DELETE"), 1U);
  EXPECT_THAT(cluster_.jobs(), IsEmpty());
}

TEST_F(KubernetesJobsTest, UnansweredCreationIsRemovedWithTheOthers) {
  std::vector<compute::AttemptId> all;
  for (compute::AttemptId id = 1; id <= kManyJobs; ++id) all.push_back(id);
  for (const compute::AttemptId id : all) submit(id);
  const std::vector<std::string> answered = cluster_.jobs();
  const compute::AttemptId last = kManyJobs + 1;
  net::Reply unanswered = status_reply(503, "ServiceUnavailable", "the job was created all the same");
  unanswered.headers = {{"Retry-After", "20"}};
  cluster_.fail("POST jobs", unanswered, 1, true);
  jobs().submit(order_of(last));
  wait_for_call("POST jobs", last);
  all.push_back(last);
  const std::vector<std::string> created = cluster_.jobs();
  const std::string job = *std::find_if(created.begin(), created.end(), [&](const std::string& name) {
    return std::find(answered.begin(), answered.end(), name) == answered.end();
  });
  cluster_.send("ADDED", job, "Running", running());
  wait_for("11 running: ");

  jobs().remove(all);
  wait_for("removed, gone", all.size() - 1);
  cluster_.send("DELETED", job, "Running", running());
  wait_for("11 ended: ");
  EXPECT_EQ(cluster_.count("DELETE"), 1U) << "the deletion of its pod is part of that of all jobs";
  jobs().forget(last);
  clock_.leap(30 * kSecond);
  wait_for_call("POST jobs", last + 1);
  end();
  EXPECT_EQ(cluster_.count("DELETE jobs/" + job), 1U) << "the second request may have created it anew";
  EXPECT_THAT(cluster_.jobs(), IsEmpty());
}

TEST_F(KubernetesJobsTest, WithoutDeletecollectionEachJobIsRemoved) {
  cluster_.fail("DELETE jobs", status_reply(403, "Forbidden", "no deletecollection"), 1);
  std::vector<compute::AttemptId> all;
  for (compute::AttemptId id = 1; id <= kManyJobs; ++id) all.push_back(id);
  for (const compute::AttemptId id : all) submit(id);
  jobs().remove(all);
  wait_for("removed, gone", all.size());
  EXPECT_EQ(cluster_.count("DELETE jobs/"), all.size());
  EXPECT_THAT(cluster_.jobs(), IsEmpty());
}

// --- the end

TEST_F(KubernetesJobsTest, EndWaitsForAllAnswers) {
  submit(1);
  submit(2);
  const compute::AttemptId all[] = {1, 2};
  jobs().remove(all);
  end();
  EXPECT_EQ(events_.count("removed, gone"), 2U);
  EXPECT_THAT(cluster_.jobs(), IsEmpty());
}

TEST_F(KubernetesJobsTest, EndWithoutJobs) { end(); }

}  // namespace
}  // namespace metaflow::kube
