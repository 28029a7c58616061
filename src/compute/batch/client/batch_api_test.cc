#include "compute/batch/client/batch_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "net/aws_testing.h"

namespace metaflow::awsbatch {
namespace {

using net::Received;
using net::Reply;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class BatchApiTest : public net::AwsTest {
 protected:
  BatchApi& api() {
    if (!api_) {
      BatchApiOptions options{.limits = quick(), .settling = 1000};
      api_.emplace(loop_, clock_, session(), options, random_);
    }
    return *api_;
  }
  Submitted submit() {
    std::optional<Submitted> submitted;
    api().submit({{"jobName", "mf-a-1"}, {"jobQueue", "q"}, {"jobDefinition", "d"}},
                 [&](Submitted&& given) { submitted = std::move(given); });
    run_until([&] { return submitted.has_value(); });
    return std::move(*submitted);
  }
  std::pair<BatchApi::Failure, std::string> definition() {
    std::optional<std::pair<BatchApi::Failure, std::string>> found;
    api().find_definition("mf-x", [&](const auto& failure, const std::string& arn) { found = {failure, arn}; });
    run_until([&] { return found.has_value(); });
    return *found;
  }
  std::pair<BatchApi::Failure, Queue> queue(const std::string& name) {
    std::optional<std::pair<BatchApi::Failure, Queue>> found;
    api().find_queue(name, [&](const auto& failure, Queue&& queue) { found = {failure, queue}; });
    run_until([&] { return found.has_value(); });
    return *found;
  }
  std::vector<Job> list(const JobSelection& which) {
    std::vector<Job> jobs;
    std::optional<BatchApi::Failure> end;
    api().list_jobs(
        which, [&](Job&& job) { jobs.push_back(std::move(job)); }, [&](const auto& f) { end = f; });
    run_until([&] { return end.has_value(); });
    EXPECT_FALSE(*end);
    return jobs;
  }
  /// A queue with one compute environment.
  static Reply queue_reply(const std::string& name, const std::string& state = "ENABLED") {
    return {.body = Json{{"jobQueues",
                          {{{"jobQueueName", name},
                            {"jobQueueArn", "arn:q/" + name},
                            {"state", state},
                            {"status", "VALID"},
                            {"computeEnvironmentOrder",
                             {{{"order", 2}, {"computeEnvironment", "arn:second"}},
                              {{"order", 1}, {"computeEnvironment", "arn:first"}}}}}}}}
                        .dump()};
  }
  static Reply environment_reply(const std::string& type) {
    return {.body = Json{{"computeEnvironments", {{{"computeResources", {{"type", type}}}}}}}.dump()};
  }

  std::optional<BatchApi> api_;
};

TEST_F(BatchApiTest, Submits) {
  answers({{.body = R"({"jobArn":"arn:j","jobName":"mf-a-1","jobId":"j-1"})"}});
  EXPECT_EQ(submit().id, "j-1");
  EXPECT_THAT(requests(), ElementsAre(R"(/v1/submitjob {"jobName":"mf-a-1","jobQueue":"q","jobDefinition":"d"})"));
}

TEST_F(BatchApiTest, LostAnswerCreatesNoSecondJob) {
  answers({{.reset = true},
           {.body = R"({"jobSummaryList":[{"jobId":"j-0","jobName":"MF-A-1","status":"FAILED"},)"
                    R"({"jobId":"j-1","jobName":"mf-a-1","status":"RUNNABLE"}]})"}});
  EXPECT_EQ(submit().id, "j-1");
  EXPECT_THAT(requests(),
              ElementsAre(StartsWith("/v1/submitjob "),
                          R"(/v1/listjobs {"jobQueue":"q","filters":[{"name":"JOB_NAME","values":["mf-a-1"]}]})"));
}

TEST_F(BatchApiTest, LostRequestIsRepeated) {
  answers({refusal(500, "ServerException", "oops"),
           refusal(503, "x", "x"),
           {.body = R"({"jobSummaryList":[]})"},
           {.body = R"({"jobId":"j-2"})"}});
  EXPECT_EQ(submit().id, "j-2");
  EXPECT_THAT(requests(), ElementsAre(StartsWith("/v1/submitjob "), StartsWith("/v1/listjobs "),
                                      StartsWith("/v1/listjobs "), StartsWith("/v1/submitjob ")));
}

TEST_F(BatchApiTest, ThrottledSubmissionsAreRetried) {
  answers({refusal(429, "TooManyRequestsException", "slower"), {.body = R"({"jobId":"j-1"})"}});
  EXPECT_EQ(submit().id, "j-1");
  EXPECT_THAT(requests(), SizeIs(2));
}

TEST_F(BatchApiTest, RefusedSubmissions) {
  answers({refusal(400, "ClientException", "JobQueue q not found.")});
  const Submitted submitted = submit();
  ASSERT_TRUE(submitted.failure);
  EXPECT_EQ(submitted.failure->text, "Cannot submit job mf-a-1: JobQueue q not found. (400 ClientException)");
  EXPECT_THAT(requests(), SizeIs(1));
}

TEST_F(BatchApiTest, SubmissionIsAbandonedAfterTheLastTry) {
  answers({{.reset = true}});
  EXPECT_TRUE(submit().failure);
}

TEST_F(BatchApiTest, TheLatestDefinition) {
  answers({{.body = R"({"jobDefinitions":[)"
                    R"({"jobDefinitionArn":"arn:d:2","revision":2,"status":"ACTIVE"},)"
                    R"({"jobDefinitionArn":"arn:d:9","revision":9,"status":"INACTIVE"},)"
                    R"({"jobDefinitionArn":"arn:d:3","revision":3,"status":"ACTIVE"}]})"},
           {.body = R"({"jobDefinitions":[]})"}});
  EXPECT_EQ(definition().second, "arn:d:3");
  EXPECT_EQ(definition().second, "");
  EXPECT_THAT(requests()[0], R"(/v1/describejobdefinitions {"jobDefinitionName":"mf-x","status":"ACTIVE"})");
}

TEST_F(BatchApiTest, RegistersDefinitions) {
  answers({{.reset = true}, {.body = R"({"jobDefinitionName":"mf-x","jobDefinitionArn":"arn:d:1","revision":1})"}});
  std::optional<std::string> arn;
  api().register_definition({{"jobDefinitionName", "mf-x"}, {"type", "container"}},
                            [&](const auto&, const std::string& given) { arn = given; });
  run_until([&] { return arn.has_value(); });
  EXPECT_EQ(*arn, "arn:d:1");
  EXPECT_EQ(requests()[1], R"(/v1/registerjobdefinition {"jobDefinitionName":"mf-x","type":"container"})");
}

TEST_F(BatchApiTest, DescribesAHundredJobsPerCall) {
  handler_ = [](const Received& request) -> std::optional<Reply> {
    Json jobs = Json::list();
    const Json asked = Json::parse_or_throw(request.body);
    for (const Json& id : asked["jobs"].items())
      jobs.push_back({{"jobId", id}, {"jobName", "n"}, {"status", "RUNNING"}});
    return Reply{.body = Json{{"jobs", jobs}}.dump()};
  };
  std::vector<std::string> ids;
  for (int i = 0; i < 250; ++i) ids.push_back(std::to_string(i));
  std::size_t reported = 0;
  std::optional<BatchApi::Failure> end;
  api().describe_jobs(
      ids, [&](Job&&) { ++reported; }, [&](const auto& failure) { end = failure; });
  run_until([&] { return end.has_value(); });
  EXPECT_EQ(reported, 250U);
  EXPECT_THAT(requests(), SizeIs(3));
  end.reset();
  api().describe_jobs(
      {}, [](Job&&) { FAIL(); }, [&](const auto& failure) { end = failure; });
  EXPECT_FALSE(end);
  run_until([&] { return end.has_value(); });
}

TEST_F(BatchApiTest, FieldsOfJobs) {
  const auto job = job_of(Json::parse_or_throw(
      R"({"jobId":"j","jobName":"n","status":"FAILED","statusReason":"Essential container in task exited",
    "createdAt":1790000000000,"startedAt":1790000001000,"stoppedAt":1790000002000,"isTerminated":true,"parameters":{"a":"b","c":1},
    "container":{"exitCode":137,"reason":"OutOfMemoryError: Container killed due to memory usage","logStreamName":"d/default/1"},
    "attempts":[{"container":{"exitCode":1,"logStreamName":"d/default/0"}},{"container":{"exitCode":137}}]})"));
  ASSERT_TRUE(job);
  EXPECT_EQ(job->status, JobStatus::failed);
  EXPECT_EQ(job->reason, "Essential container in task exited");
  EXPECT_EQ(job->exit_code, 137);
  EXPECT_THAT(job->container_reason, StartsWith("OutOfMemoryError"));
  EXPECT_EQ(job->log_stream, "d/default/1");
  EXPECT_EQ(job->stopped - job->started, 1000);
  EXPECT_TRUE(job->terminated);
  EXPECT_EQ(job->parameters, (std::map<std::string, std::string>{{"a", "b"}}));
  const auto bare = job_of(
      Json::parse_or_throw(R"({"jobId":"j","status":"RUNNABLE","container":[1],"attempts":[7],"createdAt":"x"})"));
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->exit_code, std::nullopt);
  EXPECT_FALSE(job_of(Json::parse_or_throw(R"({"jobId":"j","status":"LOST"})")));
  EXPECT_FALSE(job_of(Json::parse_or_throw("[1]")));
}

TEST_F(BatchApiTest, ListsInPages) {
  answers({{.body = R"({"jobSummaryList":[{"jobId":"1","jobName":"a","status":"RUNNING"}],"nextToken":"t"})"},
           {.body = R"({"jobSummaryList":[{"jobId":"2","jobName":"b","status":"RUNNING"},{"jobId":3}]})"}});
  EXPECT_THAT(list({.queue = "q", .status = JobStatus::running}), SizeIs(2));
  EXPECT_THAT(requests(), ElementsAre(R"(/v1/listjobs {"jobQueue":"q","jobStatus":"RUNNING"})",
                                      R"(/v1/listjobs {"jobQueue":"q","jobStatus":"RUNNING","nextToken":"t"})"));
}

TEST_F(BatchApiTest, TerminatesAndCancels) {
  int over = 0;
  answers({{.body = "{}"}, {.body = ""}});
  const auto count = [&](const BatchApi::Failure& failure) { over += failure ? 100 : 1; };
  api().terminate("j", "the run is over", count);
  run_until([&] { return over == 1; });
  api().cancel("j", "the run is over", count);
  run_until([&] { return over == 2; });
  EXPECT_THAT(requests(), ElementsAre(R"(/v1/terminatejob {"jobId":"j","reason":"the run is over"})",
                                      R"(/v1/canceljob {"jobId":"j","reason":"the run is over"})"));
}

TEST_F(BatchApiTest, FindsTheMachinesOfAQueue) {
  answers({queue_reply("q"), environment_reply("FARGATE_SPOT")});
  const auto [failure, found] = queue("q");
  EXPECT_FALSE(failure);
  EXPECT_EQ(found.arn, "arn:q/q");
  EXPECT_EQ(found.machines, Machines::fargate_spot);
  EXPECT_THAT(requests(), ElementsAre(R"(/v1/describejobqueues {"jobQueues":["q"]})",
                                      R"(/v1/describecomputeenvironments {"computeEnvironments":["arn:first"]})"));
  answers({queue_reply("q"), environment_reply("SPOT")});
  EXPECT_EQ(queue("q").second.machines, Machines::spot);
  answers({queue_reply("q"), {.body = R"({"computeEnvironments":[{"type":"UNMANAGED"}]})"}});
  EXPECT_EQ(queue("q").second.machines, Machines::ec2);
}

TEST_F(BatchApiTest, FindsTheFirstQueueThatAcceptsJobs) {
  Reply first = queue_reply("closed", "DISABLED");
  first.body.insert(first.body.size() - 1, R"(,"nextToken":"t")");
  answers({first, queue_reply("open"), environment_reply("EC2")});
  const auto [failure, found] = queue("");
  EXPECT_FALSE(failure);
  EXPECT_EQ(found.name, "open");
  EXPECT_EQ(requests()[1], R"(/v1/describejobqueues {"nextToken":"t"})");
}

TEST_F(BatchApiTest, UnusableQueuesAreRefused) {
  answers({{.body = R"({"jobQueues":[]})"}});
  EXPECT_EQ(queue("x").first->text, "Cannot look for the job queue x: no queue of this name exists in this region");
  EXPECT_THAT(queue("").first->hint, HasSubstr("METAFLOW_BATCH_JOB_QUEUE"));
  answers({queue_reply("x", "DISABLED")});
  EXPECT_EQ(queue("x").first->text, "Cannot look for the job queue x: it accepts no jobs: it is DISABLED and VALID");
  answers({queue_reply("x"), {.body = R"({"computeEnvironments":[{"containerOrchestrationType":"EKS"}]})"}});
  EXPECT_THAT(queue("x").first->text, HasSubstr("is for EKS"));
  answers({queue_reply("x"), environment_reply("ABACUS")});
  EXPECT_THAT(queue("x").first->text, HasSubstr("its type ABACUS is unknown"));
  answers({{.body = "<html>"}});
  EXPECT_THAT(queue("x").first->text, HasSubstr("the answer is not a JSON object"));
}

TEST_F(BatchApiTest, DestroyedWhileASubmissionBacksOff) {
  answers({{.reset = true}});
  bool retried = false;
  BatchApiOptions options{.limits = quick(), .settling = 1'000'000'000};
  options.on_retry = [&](const net::CallFailure&, std::int64_t) { retried = true; };
  api_.emplace(loop_, clock_, session(), options, random_);
  api().submit({{"jobName", "n"}, {"jobQueue", "q"}}, [](Submitted&&) { FAIL(); });
  run_until([&] { return retried; });
  api_.reset();
  loop_.poll();
  EXPECT_THAT(requests(), SizeIs(1));
}

}  // namespace
}  // namespace metaflow::awsbatch
