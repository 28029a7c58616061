#include "store/service/service_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "net/testing.h"

namespace metaflow::store {
namespace {

using net::Received;
using net::Reply;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ServiceReaderTest, InvalidNamesAreRejected) {
  std::string body;
  net::TestServer server([&](const Received&) { return Reply{.body = body}; });
  base::SystemClock clock;
  ServiceMetadataReader reader({.url = server.url()}, clock);
  auto refuses = [&](const std::string& row, const std::string& words, auto action) {
    body = "[" + row + "]";
    try {
      action();
      ADD_FAILURE() << row;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::metadata_service);
      EXPECT_THAT(error.message(), AllOf(HasSubstr(words), HasSubstr(server.url())));
    }
  };
  const TaskRef task{"3", "s", "4"};
  refuses(R"({"flow_id": "../F"})", "'../F' is not the name of a flow", [&] { reader.flows(); });
  refuses(R"({"run_number": "../3"})", "'../3' is not the id of a run", [&] { reader.runs("F"); });
  refuses(R"({"step_name": "a\nb"})", R"('a\nb' is not the name of a step)", [&] { reader.steps("F", "3"); });
  refuses(R"({"task_id": "4/.."})", "'4/..' is not the id of a task", [&] { reader.tasks("F", "3", "s"); });
  refuses(R"({"name": "x/y", "sha": "e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1"})",
          "'x/y' is not the name of an artifact", [&] { reader.artifacts("F", task, -1); });
  refuses(R"({"name": "x", "sha": "../../../../etc/passwd"})", "'../../../../etc/passwd' is not a key",
          [&] { reader.artifacts("F", task, 0); });
}

TEST(ServiceReaderTest, NamesBeyondAsciiAreEncodedInAddresses) {
  net::TestServer server([&](const Received&) { return Reply{.status = 404, .body = "{}"}; });
  base::SystemClock clock;
  ServiceMetadataReader reader({.url = server.url()}, clock);
  EXPECT_TRUE(reader.tasks("F", "3", "größe").empty());
  EXPECT_EQ(server.received().at(0).target, "/flows/F/runs/3/steps/gr%C3%B6%C3%9Fe/tasks");
}

TEST(ServiceReaderTest, ObjectsAreReadOneByOne) {
  const std::string key = "e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1";
  net::TestServer server([&](const Received& request) {
    const std::string run = "/flows/F/runs/3";
    if (request.target == "/flows/F") return Reply{.body = R"({"flow_id": "F", "ts_epoch": 7})"};
    if (request.target == run + "/steps/s") return Reply{.body = R"({"step_name": "s", "ts_epoch": 8})"};
    if (request.target == run + "/steps/s/tasks/4") return Reply{.body = R"({"task_id": 4, "ts_epoch": 9})"};
    if (request.target.starts_with(run + "/steps/s/tasks/4/artifacts/x"))
      return Reply{.body = R"({"name": "x", "attempt_id": 1, "sha": ")" + key + R"("})"};
    return Reply{.status = 404, .body = "{}"};
  });
  base::SystemClock clock;
  ServiceMetadataReader reader({.url = server.url()}, clock);
  EXPECT_EQ(reader.flow("F").value().created, 7000);
  EXPECT_EQ(reader.step("F", "3", "s").value().created, 8000);
  EXPECT_EQ(reader.task("F", {"3", "s", "4"}).value().created, 9000);
  EXPECT_EQ(reader.artifact("F", {"3", "s", "4"}, -1, "x").value().key, key);
  EXPECT_EQ(reader.artifact("F", {"3", "s", "4"}, 1, "x").value().attempt, 1);
  EXPECT_EQ(server.received().back().target, "/flows/F/runs/3/steps/s/tasks/4/artifacts/x/attempt/1");
  EXPECT_FALSE(reader.flow("G"));
  EXPECT_FALSE(reader.task("F", {"3", "s", "5"}));
  EXPECT_FALSE(reader.artifact("F", {"3", "s", "4"}, -1, "y"));
}

TEST(ServiceReaderTest, ReadsUnusualRows) {
  net::TestServer server([](const Received& request) {
    if (request.target == "/flows/F/runs") {
      return Reply{.body = R"([{"run_number": 3, "ts_epoch": 5, "tags": ["a", 1], "system_tags": null},
                               {"run_number": "argo-x", "ts_epoch": 1e300, "user_name": null}, 7, null])"};
    }
    if (request.target == "/flows/F/runs/3/steps/s/tasks/4/metadata")
      return Reply{.body = R"([{"field_name": "attempt", "value": "1", "type": "attempt", "tags": ["attempt_id:1"]}])"};
    return Reply{.status = 404, .body = "{}"};
  });
  base::SystemClock clock;
  ServiceMetadataReader reader({.url = server.url()}, clock);
  const auto runs = reader.runs("F");
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].id, "argo-x");
  EXPECT_EQ(runs[1].id, "3");
  EXPECT_EQ(runs[1].created, 5000);
  EXPECT_THAT(runs[1].tags, ElementsAre("a"));
  EXPECT_EQ(reader.fields("F", {"3", "s", "4"}).at(0).attempt, 1);
  EXPECT_FALSE(reader.run("F", "3"));
  EXPECT_FALSE(reader.run("F", "1795385838395170"));
  EXPECT_TRUE(reader.steps("F", "3").empty());
  EXPECT_EQ(server.received().size(), 4u);  // no request for a number that the service's database rejects
}

}  // namespace
}  // namespace metaflow::store
