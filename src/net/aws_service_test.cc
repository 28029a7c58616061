#include "net/aws_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/aws_testing.h"

namespace metaflow::net {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class AwsServiceTest : public AwsTest {
 protected:
  AwsService& service() {
    if (!service_) {
      service_.emplace(loop_, clock_, session(),
                       AwsServiceOptions{.name = "jobs",
                                         .limits = limits_,
                                         .on_retry = [this](const CallFailure& failure,
                                                            std::int64_t) { retried_.push_back(failure.text); }},
                       random_);
    }
    return *service_;
  }
  AwsAnswer call(bool may_repeat = true) {
    std::optional<AwsAnswer> answer;
    service().start({.operation = "ListJobs",
                     .words = "list jobs",
                     .path = "/v1/listjobs",
                     .body = R"({"jobQueue":"q"})",
                     .may_repeat = may_repeat},
                    [&](AwsAnswer&& given) { answer = std::move(given); });
    EXPECT_FALSE(answer) << "called back too early";
    run_until([&] { return answer.has_value(); });
    return std::move(*answer);
  }

  CallLimits limits_ = quick();
  std::vector<std::string> retried_;
  std::optional<AwsService> service_;
};

TEST_F(AwsServiceTest, SignedJson) {
  answers({{.body = R"({"jobSummaryList":[]})"}});
  const AwsAnswer answer = call();
  EXPECT_FALSE(answer.failure);
  EXPECT_EQ(answer.body, R"({"jobSummaryList":[]})");
  const Received request = server_.received().at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/v1/listjobs");
  EXPECT_EQ(request.body, R"({"jobQueue":"q"})");
  EXPECT_EQ(request.headers.at("content-type"), "application/json");
  EXPECT_THAT(request.headers.at("authorization"), HasSubstr("Credential=KEY/"));
  EXPECT_THAT(request.headers.at("authorization"), HasSubstr("/eu-west-1/jobs/aws4_request"));
  EXPECT_THAT(request.headers.at("authorization"), HasSubstr("SignedHeaders=content-type;host;x-amz-date,"));
}

TEST_F(AwsServiceTest, EndpointsOfAws) {
  variables_.erase("AWS_ENDPOINT_URL");
  EXPECT_EQ(session().endpoint("jobs", "jobs"), "https://jobs.eu-west-1.amazonaws.com");
  variables_["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] = "http://127.0.0.1:1/x/";
  EXPECT_EQ(session().endpoint("logs", "cloudwatch_logs"), "http://127.0.0.1:1/x");
}

TEST_F(AwsServiceTest, AnEndpointWithAPath) {
  variables_["AWS_ENDPOINT_URL_JOBS"] = server_.url("/proxy");
  answers({{.body = "{}"}});
  EXPECT_FALSE(call().failure);
  EXPECT_EQ(server_.received().at(0).target, "/proxy/v1/listjobs");
}

TEST_F(AwsServiceTest, NoRegion) {
  variables_.erase("AWS_REGION");
  const AwsAnswer answer = call();
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->text, "Cannot list jobs: No AWS region is configured");
  EXPECT_THAT(requests(), SizeIs(0));
}

TEST_F(AwsServiceTest, ThrottledCallsAreRetried) {
  answers({refusal(429, "TooManyRequestsException", "Too Many Requests"),
           refusal(400, "ThrottlingException", "Rate exceeded"),
           refusal(503, "x", "x"),
           {.body = "{}"}});
  const AwsAnswer answer = call();
  EXPECT_FALSE(answer.failure);
  EXPECT_TRUE(answer.may_have_executed);  // by the try that was answered with 503
  EXPECT_THAT(requests(), SizeIs(4));
  EXPECT_THAT(retried_, ElementsAre(HasSubstr("Too Many Requests (429 TooManyRequestsException)"),
                                    HasSubstr("Rate exceeded (400 ThrottlingException)"), HasSubstr("503")));
}

TEST_F(AwsServiceTest, OtherRejectionsAreFinal) {
  answers({refusal(400, "ClientException", "Job queue q not found.")});
  const AwsAnswer answer = call();
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->text, "Cannot list jobs: Job queue q not found. (400 ClientException)");
  EXPECT_EQ(answer.failure->code, "ClientException");
  EXPECT_FALSE(answer.failure->transient);
  EXPECT_FALSE(answer.may_have_executed);
  EXPECT_THAT(requests(), SizeIs(1));
}

TEST_F(AwsServiceTest, MissingPermissionsAreNamed) {
  answers({{.status = 403,
            .body = R"({"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no\nnever"})"}});
  const AwsAnswer answer = call();
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->code, "AccessDeniedException");
  EXPECT_EQ(answer.failure->text, "Cannot list jobs: no never (403 AccessDeniedException)");
  EXPECT_EQ(answer.failure->hint, "The AWS keys from profile 'default' need the permission jobs:ListJobs.");
}

TEST_F(AwsServiceTest, NonIdempotentCallsHaveOneAttempt) {
  answers({refusal(500, "ServerException", "lost"), {.body = "{}"}});
  const AwsAnswer answer = call(false);
  ASSERT_TRUE(answer.failure);
  EXPECT_TRUE(answer.failure->transient);
  EXPECT_TRUE(answer.may_have_executed);
  EXPECT_THAT(requests(), SizeIs(1));
}

TEST_F(AwsServiceTest, ThrottledNonIdempotentCallsAreRetried) {
  answers({refusal(429, "TooManyRequestsException", "x"), {.body = "{}"}});
  const AwsAnswer answer = call(false);
  EXPECT_FALSE(answer.failure);
  EXPECT_FALSE(answer.may_have_executed);
}

TEST_F(AwsServiceTest, AServerThatDoesNotAnswer) {
  answers({{.reset = true}});
  const AwsAnswer answer = call();
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->status, 0);
  EXPECT_TRUE(answer.may_have_executed);
  EXPECT_THAT(answer.failure->hint, HasSubstr("AWS_REGION"));
  EXPECT_THAT(answer.failure->text, Not(HasSubstr("very-secret")));
  EXPECT_THAT(requests(), SizeIs(4));
}

TEST_F(AwsServiceTest, ExpiredKeysAreReadAgain) {
  service();
  session().keys();
  keys("NEW");
  answers({refusal(403, "ExpiredTokenException", "expired"), {.body = "{}"}});
  EXPECT_FALSE(call().failure);
  EXPECT_THAT(server_.received().back().headers.at("authorization"), HasSubstr("Credential=NEW/"));
}

TEST_F(AwsServiceTest, ExpiredKeysAreReported) {
  answers({refusal(403, "ExpiredTokenException", "expired")});
  EXPECT_THAT(call().failure->hint, HasSubstr("log in again"));
}

TEST_F(AwsServiceTest, KeysOfTheContainerAreRenewed) {
  std::filesystem::remove_all(home_ + "/.aws");
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server_.url("/role");
  int given = 0;
  int calls = 0;
  handler_ = [&](const Received& request) -> std::optional<Reply> {
    if (request.target == "/role")
      return Reply{.body = R"({"AccessKeyId":"ROLE)" + std::to_string(++given) +
                           R"(","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"})"};
    if (++calls == 1) return refusal(403, "ExpiredTokenException", "expired");
    return Reply{.body = "{}"};
  };
  EXPECT_FALSE(call().failure);
  EXPECT_EQ(given, 2);
  EXPECT_THAT(server_.received().back().headers.at("authorization"), HasSubstr("Credential=ROLE2/"));
  EXPECT_EQ(server_.received().back().headers.at("x-amz-security-token"), "t");
}

TEST_F(AwsServiceTest, AWrongClockIsCorrected) {
  answers({refusal(403, "InvalidSignatureException", "Signature not yet current",
                   {{"Date", "Sun, 06 Nov 2094 08:49:37 GMT"}}),
           {.body = "{}"}});
  EXPECT_FALSE(call().failure);
  EXPECT_THAT(server_.received().at(1).headers.at("x-amz-date"), HasSubstr("20941106T0849"));
}

TEST_F(AwsServiceTest, CancelledCallsDoNotCallBack) {
  limits_.retry.first_delay = limits_.retry.max_delay = 1'000'000'000;
  answers({refusal(503, "x", "x")});
  const auto never = [](AwsAnswer&&) { FAIL(); };
  const auto paused = service().start({.operation = "X", .words = "x"}, never);
  run_until([&] { return !retried_.empty(); });
  const auto running = service().start({.operation = "X", .words = "x"}, never);
  service().cancel(paused);
  service().cancel(running);
  service().start({.operation = "X", .words = "x"}, never);
  service_.reset();
  loop_.poll();
}

}  // namespace
}  // namespace metaflow::net
