#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <mutex>
#include <stdexcept>

#include "base/json.h"
#include "compute/kubernetes/client/api.h"
#include "compute/kubernetes/client/testing.h"

namespace metaflow::kube {
namespace {

using net::Received;
using net::Reply;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr const char* kJobs = "/apis/batch/v1/namespaces/n/jobs";

TEST_F(KubernetesApiTest, Refusals) {
  access_.user.token = "secret";
  answers({status_reply(403, "Forbidden", "jobs.batch \"j\" is forbidden")});
  const Answer answer = get("j");
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->status, 403);
  EXPECT_EQ(answer.failure->code, "Forbidden");
  EXPECT_FALSE(answer.failure->transient);
  EXPECT_EQ(answer.failure->text, "Cannot get job j in namespace n: jobs.batch \"j\" is forbidden (403 Forbidden)");
  EXPECT_THAT(answer.failure->error(kTitle).what(),
              AllOf(HasSubstr("kubectl auth can-i get jobs"), Not(HasSubstr("secret"))));
  EXPECT_THAT(requests(), SizeIs(1));
}

TEST_F(KubernetesApiTest, PolicyIsNotAMissingPermission) {
  answers({status_reply(403, "Forbidden",
                        "admission webhook \"policy.example.com\" denied the request: \nno label 'team';\nask ops")});
  Answer answer = get("j");
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->text,
            "Cannot get job j in namespace n: admission webhook \"policy.example.com\" denied the request:  no label "
            "'team'; ask ops (403 Forbidden)");
  EXPECT_EQ(answer.failure->hint,
            "A policy of the cluster refused it. Ask its administrators what admission webhook \"policy.example.com\" "
            "requires "
            "of jobs.");
  answers({status_reply(
      422, "Invalid",
      "jobs.batch \"j\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no")});
  answer = get("j");
  EXPECT_THAT(answer.failure->hint, HasSubstr("ValidatingAdmissionPolicy 'p' with binding 'b'"));
}

TEST_F(KubernetesApiTest, TriesAgain) {
  answers({{.reset = true},
           {.status = 429, .headers = {{"Retry-After", "0"}}, .body = "Too many requests, please try again later.\n"},
           status_reply(500, "InternalError", "etcdserver: leader changed"),
           object_reply(object_named("j"))});
  EXPECT_FALSE(get("j").failure);
  EXPECT_THAT(retried_, ElementsAre(StartsWith("Cannot get job j in namespace n: GET http"),
                                    "Cannot get job j in namespace n: Too many requests, please try again later. (429)",
                                    HasSubstr("leader changed (500 InternalError)")));
  EXPECT_EQ(api().counters().retries, 3U);
  EXPECT_EQ(api().counters().refused, 1U);
}

TEST_F(KubernetesApiTest, GivesUp) {
  answers({status_reply(503, "ServiceUnavailable", "apiserver is shutting down")});
  const Answer answer = get("j");
  ASSERT_TRUE(answer.failure);
  EXPECT_TRUE(answer.failure->transient);
  EXPECT_EQ(answer.failure->status, 503);
  EXPECT_THAT(requests(), SizeIs(4));
}

TEST_F(KubernetesApiTest, RetryAfterIsRespected) {
  random_ = 0;
  answers({status_reply(429, "TooManyRequests", "wait", {{"Retry-After", "1"}}), object_reply(object_named("j"))});
  options_.transport.limits.retry.max_retry_after = 20'000;
  EXPECT_FALSE(get("j").failure);
  EXPECT_THAT(pauses_, ElementsAre(20'000));
  Reply reply{.status = 504, .body = R"({"kind":"Status","reason":"Timeout","details":{"retryAfterSeconds":1}})"};
  answers({reply, object_reply(object_named("j"))});
  EXPECT_FALSE(get("j").failure);
  EXPECT_THAT(pauses_, ElementsAre(20'000, 20'000));
}

TEST_F(KubernetesApiTest, NoServer) {
  access_.cluster.server = "http://127.0.0.1:1";
  const Answer answer = get("j");
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->status, 0);
  EXPECT_FALSE(answer.uncertain);
  EXPECT_THAT(answer.failure->error(kTitle).what(), AllOf(HasSubstr("127.0.0.1:1"), HasSubstr("context 'test' of /k")));
}

TEST_F(KubernetesApiTest, ServerIsNotKubernetes) {
  answers({{.body = "<html>Please log in</html>"}});
  EXPECT_THAT(get("j").failure->text, HasSubstr("not a JSON object"));
  std::vector<std::string> names;
  EXPECT_THAT(list(names).failure->text, HasSubstr("not a list of objects"));
}

TEST_F(KubernetesApiTest, DeletingAMissingObjectSucceeds) {
  answers({status_reply(404, "NotFound", "jobs.batch \"j\" not found")});
  EXPECT_FALSE(wait([&](auto done) { api().remove(Resource::jobs, "j", done); }).failure);
  EXPECT_EQ(get("j").failure->code, "NotFound");
}

TEST_F(KubernetesApiTest, LostAnswerOfACreation) {
  answers({{.reset = true}, status_reply(409, "AlreadyExists", "exists"), object_reply(object_named("j", "9", "me"))});
  const Answer answer = create(object_named("j", "", "me"));
  ASSERT_FALSE(answer.failure) << answer.failure->text;
  EXPECT_EQ(text_at(answer.object, {"metadata", "resourceVersion"}), "9");
  EXPECT_THAT(requests(), ElementsAre(StartsWith("POST"), StartsWith("POST"), "GET " + std::string(kJobs) + "/j"));
}

TEST_F(KubernetesApiTest, RefusedBecauseOfItsOwnCreation) {
  // The first creation got no answer, and used up the quota.
  answers(
      {{.reset = true}, status_reply(403, "Forbidden", "exceeded quota"), object_reply(object_named("j", "9", "me"))});
  EXPECT_FALSE(create(object_named("j", "", "me")).failure);
  // Or another client did.
  api_.reset();  // so that the lost connection is a new one: libcurl repeats requests on others
  answers({{.reset = true}, status_reply(403, "Forbidden", "exceeded quota"), status_reply(404, "NotFound", "no")});
  const Answer answer = create(object_named("j", "", "me"));
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->message, "exceeded quota");
  EXPECT_FALSE(answer.uncertain);
}

TEST_F(KubernetesApiTest, NameIsTaken) {
  answers({status_reply(409, "AlreadyExists", "exists"), object_reply(object_named("j", "9", "another"))});
  EXPECT_EQ(create(object_named("j", "", "me")).failure->code, "AlreadyExists");
  // Without an owner, nothing is looked up.
  answers({status_reply(409, "AlreadyExists", "exists")});
  EXPECT_EQ(create(object_named("j")).failure->code, "AlreadyExists");
  // An object that is being deleted does not count.
  Json going = object_named("j", "9", "me");
  going.find("metadata")->set("deletionTimestamp", "2026-11-22T13:03:39Z");
  answers({status_reply(409, "AlreadyExists", "exists"), object_reply(going)});
  EXPECT_EQ(create(object_named("j", "", "me")).failure->code, "AlreadyExists");
  // An object that was deleted meanwhile makes room.
  answers({status_reply(409, "AlreadyExists", "exists"), status_reply(404, "NotFound", "gone"),
           object_reply(object_named("j", "10", "me"))});
  EXPECT_FALSE(create(object_named("j", "", "me")).failure);
}

TEST_F(KubernetesApiTest, QuotaConflictIsRetried) {
  answers({status_reply(409, "Conflict", "Operation cannot be fulfilled on resourcequotas"),
           object_reply(object_named("j"))});
  EXPECT_FALSE(create(object_named("j")).failure);
}

TEST_F(KubernetesApiTest, UncertainWithoutAnAnswer) {
  answers({{.reset = true}});
  EXPECT_TRUE(create(object_named("j")).uncertain);
  answers({status_reply(422, "Invalid", "no")});
  EXPECT_FALSE(create(object_named("j")).uncertain);
}

TEST_F(KubernetesApiTest, SecretsAreClaimedWithoutReading) {
  Json secret = object_named("s", "", "me");
  secret.set("data", {{"k", "dg=="}});
  answers({status_reply(409, "AlreadyExists", "exists"), object_reply(object_named("s"))});
  const Answer claimed = create(secret, Resource::secrets);
  EXPECT_FALSE(claimed.failure);
  EXPECT_EQ(text_at(claimed.object, {"metadata", "uid"}), "uid-s");
  EXPECT_THAT(
      requests().back(),
      "PATCH /api/v1/namespaces/n/secrets/s "
      R"([{"op":"test","path":"/metadata/labels/x~1owner","value":"me"},{"op":"add","path":"/data","value":{"k":"dg=="}}])");
  EXPECT_EQ(server_->received().back().headers.at("content-type"), "application/json-patch+json");
  answers({status_reply(409, "AlreadyExists", "exists"), status_reply(422, "Invalid", "test failed")});
  EXPECT_EQ(create(secret, Resource::secrets).failure->code, "AlreadyExists");
}

TEST_F(KubernetesApiTest, AnswersDoNotHoldSecrets) {
  Json secret = object_named("s", "", "me");
  secret.set("data", {{"k", "dg=="}});
  answers({object_reply(secret)});
  const Answer created = create(secret, Resource::secrets);
  EXPECT_FALSE(created.failure);
  EXPECT_EQ(created.object, object_named("s", "", "me"));
}

}  // namespace
}  // namespace metaflow::kube
