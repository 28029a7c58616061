#include "compute/kubernetes/client/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <mutex>
#include <stdexcept>

#include "base/json.h"
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

TEST_F(KubernetesApiTest, Verbs) {
  access_.user.token = "secret";
  answers({object_reply(object_named("j"))});
  EXPECT_EQ(text_at(create(object_named("j")).object, {"metadata", "name"}), "j");
  EXPECT_FALSE(get("j").failure);
  EXPECT_FALSE(wait([&](auto done) { api().remove(Resource::jobs, "j", done); }).failure);
  EXPECT_FALSE(wait([&](auto done) { api().patch(Resource::pods, "p", {{"a", nullptr}}, done); }).failure);
  const auto received = server_->received();
  EXPECT_THAT(
      requests(),
      ElementsAre(StartsWith("POST " + std::string(kJobs) + " {\"metadata\""), "GET " + std::string(kJobs) + "/j",
                  "DELETE " + std::string(kJobs) +
                      R"(/j {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"})",
                  R"(PATCH /api/v1/namespaces/n/pods/p {"a":null})"));
  EXPECT_EQ(received[0].headers.at("content-type"), "application/json");
  EXPECT_EQ(received[3].headers.at("content-type"), "application/merge-patch+json");
  EXPECT_EQ(received[1].headers.at("authorization"), "Bearer secret");
  EXPECT_EQ(api().counters().calls, 4U);
  EXPECT_EQ(api().counters().by_kind.at("create jobs"), 1U);
  EXPECT_FALSE(wait([&](auto done) { api().remove(Resource::jobs, "j", done, Propagation::foreground); }).failure);
  EXPECT_THAT(requests().back(), HasSubstr(R"("propagationPolicy":"Foreground")"));
}

Reply page(const std::vector<std::string>& names, const std::string& more) {
  Json items = Json::list();
  for (const std::string& name : names) items.push_back(object_named(name));
  return object_reply({{"metadata", {{"resourceVersion", "5"}, {"continue", more}}}, {"items", items}});
}

TEST_F(KubernetesApiTest, ListsInPages) {
  options_.page = 2;
  answers({page({"a", "b"}, "more"), page({"c"}, "")});
  std::vector<std::string> names;
  const ListEnd end = list(names);
  EXPECT_FALSE(end.failure);
  EXPECT_EQ(end.resource_version, "5");
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
  EXPECT_THAT(requests(), ElementsAre("GET /api/v1/namespaces/n/pods?labelSelector=a%3Db&limit=2",
                                      "GET /api/v1/namespaces/n/pods?continue=more&labelSelector=a%3Db&limit=2"));
}

TEST_F(KubernetesApiTest, RepeatedPageIsAFailure) {
  answers({page({"a"}, "more"), page({"b"}, "still"), page({"c"}, "more"), page({"d"}, "")});
  std::vector<std::string> names;
  const ListEnd end = list(names);
  ASSERT_TRUE(end.failure);
  EXPECT_THAT(end.failure->text, HasSubstr("its pages do not end"));
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
}

TEST_F(KubernetesApiTest, DeletesManyInPages) {
  options_.page = 2;
  answers({page({"a", "b"}, "more"), status_reply(410, "Expired", "too old"), page({"c"}, "")});
  const Selection selection{.labels = "a=b", .fields = "metadata.name!=d"};
  auto remove_all = [&] { return wait([&](auto done) { api().remove_all(Resource::jobs, selection, done); }); };
  EXPECT_FALSE(remove_all().failure);
  const std::string query = "fieldSelector=metadata.name%21%3Dd&labelSelector=a%3Db&limit=2 ";
  const std::string options = R"({"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"})";
  const std::string first = "DELETE " + std::string(kJobs) + "?" + query + options;
  EXPECT_THAT(requests(),
              ElementsAre(first, "DELETE " + std::string(kJobs) + "?continue=more&" + query + options, first));
  answers({status_reply(403, "Forbidden", "no")});
  const Answer refused = remove_all();
  ASSERT_TRUE(refused.failure);
  EXPECT_EQ(refused.failure->status, 403);
  EXPECT_THAT(refused.failure->hint, HasSubstr("can-i deletecollection jobs"));
}

TEST_F(KubernetesApiTest, EventsOfOneObject) {
  answers({object_reply({{"metadata", {{"resourceVersion", "5"}}}, {"items", {{{"reason", "FailedScheduling"}}}}})});
  std::vector<std::string> reasons;
  bool over = false;
  api().list(Resource::events, {.fields = "involvedObject.uid=u-1"},
             {.on_object = [&](Json&& event) { reasons.push_back(text_at(event, {"reason"})); },
              .done = [&](ListEnd&&) { over = true; }});
  run_until([&] { return over; });
  EXPECT_THAT(reasons, ElementsAre("FailedScheduling"));
  EXPECT_THAT(requests(),
              ElementsAre("GET /api/v1/namespaces/n/events?fieldSelector=involvedObject.uid%3Du-1&limit=250"));
}

TEST_F(KubernetesApiTest, ExpiredListBeginsAgain) {
  answers({page({"a", "b"}, "more"), status_reply(410, "Expired", "too old"), page({"b", "c"}, "")});
  std::vector<std::string> names;
  int restarts = 0;
  EXPECT_FALSE(list(names, &restarts).failure);
  EXPECT_THAT(names, ElementsAre("b", "c"));
  EXPECT_EQ(restarts, 1);
  answers({status_reply(410, "Expired", "too old")});
  EXPECT_EQ(list(names).failure->status, 410);
}

TEST_F(KubernetesApiTest, ListCancelledByItsObjects) {
  answers({page({"a", "b"}, "more")});
  int count = 0;
  KubernetesApi::Id id = 0;
  id = api().list(Resource::pods, {},
                  {.on_object =
                       [&](Json&&) {
                         ++count;
                         api().cancel(id);
                       },
                   .done = [](ListEnd&&) { FAIL(); }});
  run_until([&] { return count > 0; });
  EXPECT_FALSE(wait([&](auto done) { api().remove(Resource::jobs, "j", done); }).failure);
  EXPECT_EQ(count, 1);
}

TEST_F(KubernetesApiTest, ExceptionsOfCallbacksLeaveTheLoop) {
  answers({page({"a"}, "")});
  api().list(Resource::pods, {}, {.on_object = [](Json&&) { throw std::runtime_error("mine"); }});
  EXPECT_THROW(run_until([] { return false; }), std::runtime_error);
  answers({{.pieces = {"a", "b"}}});
  api().read_log({.pod = "p"}, [](std::string_view) { throw std::runtime_error("mine"); }, {});
  EXPECT_THROW(run_until([] { return false; }), std::runtime_error);
  answers({object_reply(object_named("j"))});
  EXPECT_FALSE(get("j").failure);
}

TEST_F(KubernetesApiTest, Logs) {
  answers({{.pieces = {"first ", "second"}}});
  std::string text;
  const Answer answer = wait([&](auto done) {
    api().read_log(
        {.pod = "p", .container = "main", .follow = true, .tail_lines = 5},
        [&](std::string_view piece) { text += piece; }, done);
  });
  EXPECT_FALSE(answer.failure);
  EXPECT_EQ(text, "first second");
  EXPECT_THAT(requests(), ElementsAre("GET /api/v1/namespaces/n/pods/p/log?container=main&follow=true&tailLines=5"));
  (void)wait([&](auto done) {
    api().read_log(
        {.pod = "p", .previous = true, .limit_bytes = 7, .timestamps = true, .since_time = "2026-11-23T04:16:21.1Z"},
        [](std::string_view) {}, done);
  });
  EXPECT_THAT(requests().back(),
              "GET /api/v1/namespaces/n/pods/p/"
              "log?limitBytes=7&previous=true&sinceTime=2026-11-23T04%3A16%3A21.1Z&timestamps=true");
  // A stream that broke off is not reopened here: lines would be repeated.
  answers({{.pieces = {"first "}, .cut_off_after = 3}});
  const Answer cut = wait([&](auto done) {
    api().read_log(
        {.pod = "p"}, [](std::string_view) {}, done);
  });
  ASSERT_TRUE(cut.failure);
  EXPECT_TRUE(cut.failure->transient);
  EXPECT_THAT(requests(), SizeIs(3));
  answers({status_reply(400, "BadRequest", "container \"main\" is waiting to start")});
  const Answer early = wait([&](auto done) {
    api().read_log(
        {.pod = "p"}, [](std::string_view) {}, done);
  });
  EXPECT_THAT(early.failure->text,
              HasSubstr("Cannot get the log of pod p in namespace n: container \"main\" is waiting"));
}

TEST_F(KubernetesApiTest, TokenIsRenewedWhenRefused) {
  std::string name = testing::TempDir() + "kube_XXXXXX";
  const std::string home = ::mkdtemp(name.data());
  base::replace_file(home + "/plugin", "#!/bin/sh\necho x >>" + home + "/runs\n" +
                                           R"(echo '{"apiVersion":"client.authentication.k8s.io/v1",)" +
                                           R"("kind":"ExecCredential","status":{"token":"'$(wc -l <)" + home +
                                           R"(/runs)'"}}')");
  ::chmod((home + "/plugin").c_str(), 0700);
  access_.user.exec = ExecPlugin{.api_version = "client.authentication.k8s.io/v1", .command = home + "/plugin"};
  answer_ = [](const Received& request) {
    return request.headers.at("authorization") == "Bearer 2" ? object_reply(object_named("j"))
                                                             : status_reply(401, "Unauthorized", "Unauthorized");
  };
  // Concurrent refusals run the plugin once, and not many times.
  int good = 0;
  for (int i = 0; i < 10; ++i) api().get(Resource::jobs, "j", [&](Answer&& answer) { good += answer.failure ? 0 : 1; });
  run_until([&] { return good == 10; });
  EXPECT_EQ(base::read_file(home + "/runs")->text(), "x\nx\n");
  // If that does not help, the call fails.
  answers({status_reply(401, "Unauthorized", "Unauthorized")});
  EXPECT_THAT(get("j").failure->error(kTitle).what(), HasSubstr("log in again"));
  EXPECT_EQ(base::read_file(home + "/runs")->text(), "x\nx\nx\n");
  std::filesystem::remove_all(home);
}

TEST_F(KubernetesApiTest, CredentialsThatWereAcceptedAreTriedAgainWhenRefused) {
  const auto refused = status_reply(401, "Unauthorized", "Unauthorized");
  answers({refused});
  EXPECT_THAT(get("j").failure->error(kTitle).what(), HasSubstr("log in again"));
  EXPECT_THAT(requests(), SizeIs(1));
  answers({object_reply(object_named("j")), refused, refused, object_reply(object_named("j"))});
  EXPECT_FALSE(get("j").failure);
  EXPECT_FALSE(get("j").failure);
  EXPECT_THAT(requests(), SizeIs(5));
}

TEST_F(KubernetesApiTest, MissingCredentials) {
  access_.user.token_file = "/nowhere/token";
  EXPECT_THAT(get("j").failure->text, HasSubstr("/nowhere/token"));
  EXPECT_THAT(requests(), IsEmpty());
}

TEST_F(KubernetesApiTest, ConcurrencyAndRateAreLimited) {
  options_.transport.limits.calls_at_a_time = 2;
  options_.transport.limits.calls_per_second = 200;
  options_.transport.limits.burst = 1;
  answers({object_reply(object_named("j"))});
  int over = 0;
  for (int i = 0; i < 20; ++i) api().get(Resource::jobs, "j", [&](Answer&&) { ++over; });
  run_until([&] { return over == 20; });
  EXPECT_LE(server_->connections(), 2);
  EXPECT_GE(api().counters().delayed, 1U);
  EXPECT_EQ(api().transport().in_flight(), 0U);
}

TEST_F(KubernetesApiTest, CancelledBeforeDuringAndBetweenTries) {
  options_.transport.limits.calls_at_a_time = 1;
  options_.transport.limits.retry.first_delay = 1'000'000'000;
  options_.transport.limits.retry.max_delay = 1'000'000'000;
  answers({status_reply(503, "x", "x"), object_reply(object_named("j"))});
  const auto never = [](Answer&&) { FAIL(); };
  const auto paused = api().get(Resource::jobs, "a", never);
  run_until([&] { return !retried_.empty(); });
  const auto running = api().get(Resource::jobs, "b", never);
  const auto waiting = api().get(Resource::jobs, "c", never);
  for (const auto id : {waiting, running, paused}) api().cancel(id);
  EXPECT_EQ(api().transport().in_flight(), 0U);
  EXPECT_FALSE(get("d").failure);
  api().get(Resource::jobs, "e", never);
  api_.reset();
  loop_.poll();
}

}  // namespace
}  // namespace metaflow::kube
