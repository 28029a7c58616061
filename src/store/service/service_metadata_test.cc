#include "store/service/service_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include <metaflow/error.h>

#include "base/json.h"
#include "net/testing.h"

namespace metaflow::store {
namespace {

using base::Json;
using net::Received;
using net::Reply;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A service that carries out every request, except for scripted replies.
class Service {
 public:
  Service() : server_([this](const Received& request) { return reply(request); }) {}

  /// Scripts the reply to the next request whose method and target contain `text`.
  void script(const std::string& text, Reply reply, bool work_is_done = false) {
    const std::scoped_lock lock(mutex_);
    scripts_.push_back({text, std::move(reply), work_is_done});
  }
  ServiceOptions options() const {
    ServiceOptions options{.url = server_.url()};
    options.retry = {.tries = 3, .first_delay = 100};
    options.run_retry = {.tries = 4, .first_delay = 100};
    return options;
  }
  /// The received requests, "POST /flows/...", starting at the text `from`.
  std::vector<std::string> requests(const std::string& from = {}) {
    std::vector<std::string> lines;
    for (const Received& request : server_.received()) {
      if (request.target.find(from) != std::string::npos) lines.push_back(request.method + " " + request.target);
    }
    return lines;
  }
  std::vector<Json> bodies(const std::string& tail) {
    std::vector<Json> found;
    for (const Received& request : server_.received()) {
      if (request.method == "POST" && request.target.ends_with(tail))
        found.push_back(Json::parse_or_throw(request.body));
    }
    return found;
  }
  /// The arrival times of the metadata of tasks, in microseconds.
  std::vector<std::int64_t> times() const {
    const std::scoped_lock lock(mutex_);
    return times_;
  }
  int tasks() const {
    const std::scoped_lock lock(mutex_);
    return tasks_;
  }

 private:
  struct Script {
    std::string text;
    Reply reply;
    bool work_is_done;
  };

  Reply reply(const Received& request) {
    const std::scoped_lock lock(mutex_);
    for (auto at = scripts_.begin(); at != scripts_.end(); ++at) {
      if ((request.method + " " + request.target).find(at->text) == std::string::npos) continue;
      const Script script = *at;
      scripts_.erase(at);
      if (script.work_is_done) work(request);
      return script.reply;
    }
    return work(request);
  }

  Reply work(const Received& request) {
    if (request.target == "/ping") return {.headers = {{"METADATA_SERVICE_VERSION", "2.5.1"}}, .body = "pong"};
    if (request.method == "GET" && request.target.ends_with("/tasks")) {
      Json list = Json::list();
      for (int id = 1; id <= tasks_; ++id) list.push_back({{"task_id", id}});
      return {.body = list.dump()};
    }
    if (request.method == "GET") return {.body = "{}"};
    if (request.target.ends_with("/run")) return {.body = R"({"run_number": 17})"};
    if (request.target.ends_with("/task")) return {.body = Json{{"task_id", ++tasks_}}.dump()};
    const std::size_t rows = Json::parse_or_throw(request.body).size();
    if (request.target.ends_with("/metadata")) times_.push_back(base::SystemClock().monotonic_microseconds());
    if (request.target.ends_with("/metadata")) return {.body = Json{{"metadata_created", rows}}.dump()};
    if (request.target.ends_with("/artifact")) return {.body = Json{{"artifacts_created", rows}}.dump()};
    return {.body = "{}"};
  }

  mutable std::mutex mutex_;  // the server has threads of its own
  std::deque<Script> scripts_;
  std::vector<std::int64_t> times_;
  int tasks_ = 0;
  net::TestServer server_;
};

const Reply kLost{.reset = true};

struct StillClock : base::Clock {
  std::int64_t wall_microseconds() override { return 1'700'000'000'000'000; }
  std::int64_t monotonic_microseconds() override { return now; }
  std::int64_t boot_microseconds() override { return now; }
  std::int64_t now = 5'000'000;
};

class ServiceTest : public testing::Test {
 protected:
  ServiceMetadataWriter& writer() {
    if (!writer_)
      writer_ = std::make_unique<ServiceMetadataWriter>(
          client_, loop_, clock_, ServiceMetadataWriter::Options{"Sweep", "me", "local", "/x/.metaflow"});
    return *writer_;
  }
  std::string new_task(const std::string& step) {
    writer().expect_tasks("17", step, 1);
    while (!writer().ready("17", step, 1)) loop_.run_once();
    return writer().new_task("17", step);
  }
  void finish() {
    while (!writer().idle()) loop_.run_once();
  }

  Service service_;
  base::SystemClock clock_;
  base::EventLoop loop_{clock_};
  ServiceClient client_{service_.options(), loop_, clock_};
  std::unique_ptr<ServiceMetadataWriter> writer_;
};

TaskData data_with(const std::string& name) {
  TaskData data;
  data.artifacts.push_back({.name = name, .key = "ab", .size = 1, .type = "<class 'int'>"});
  return data;
}

std::string message_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::metadata_service);
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(ServiceTest, RowsOfATaskAreSentInOrder) {
  EXPECT_EQ(writer().new_run({"mine"}, {"user:me"}), "17");
  const TaskRef task{"17", "start", new_task("start")};
  writer().add_fields(task, 0, {{"ds-type", "local", ""}});
  writer().attempt_begins(task, 0);
  finish();
  writer().add_artifacts(task, data_with("x"), 0);
  writer().attempt_ends(task, 0, true);
  writer().add_fields(task, 0, {{"attempt-done", "0", ""}});
  finish();
  EXPECT_THAT(service_.requests("/tasks/1/"), ElementsAre("POST /flows/Sweep/runs/17/steps/start/tasks/1/metadata",
                                                          "POST /flows/Sweep/runs/17/steps/start/tasks/1/artifact",
                                                          "POST /flows/Sweep/runs/17/steps/start/tasks/1/metadata"));
  const auto fields = service_.bodies("/metadata");
  EXPECT_EQ(fields[0].size(), 2u);
  EXPECT_EQ(fields[1][0]["field_name"], "attempt_ok");
  EXPECT_EQ(fields[1][1]["field_name"], "attempt-done");
  EXPECT_EQ(service_.bodies("/artifact")[0][0]["location"], ":root:/x/.metaflow");
}

TEST_F(ServiceTest, CloneIsMarkedAsSuccessful) {
  writer().new_run({}, {});
  writer().clone_artifacts({"17", "start", new_task("start")}, {"16", "start", "9"}, data_with("x"), 0);
  finish();
  const auto fields = service_.bodies("/metadata");
  ASSERT_EQ(fields.size(), 1u);
  EXPECT_EQ(fields[0][0]["field_name"], "attempt");
  EXPECT_EQ(fields[0][1]["field_name"], "attempt_ok");
  EXPECT_EQ(fields[0][1]["value"], "True");
}

TEST_F(ServiceTest, ShortTaskNeedsTwoRequests) {
  writer().new_run({}, {});
  const TaskRef task{"17", "start", new_task("start")};
  writer().add_fields(task, 0, {{"ds-type", "local", ""}});
  writer().add_artifacts(task, data_with("x"), 0);
  writer().add_fields(task, 0, {{"attempt-done", "0", ""}});
  finish();
  EXPECT_EQ(service_.requests("/tasks/1/").size(), 2u);
  EXPECT_EQ(service_.bodies("/metadata")[0].size(), 2u);
}

/// Metaflow's client takes the latest row of all attempts, by the service's milliseconds.
TEST_F(ServiceTest, AttemptsDoNotShareAMillisecond) {
  writer().new_run({}, {});
  const TaskRef task{"17", "start", new_task("start")};
  for (int attempt = 0; attempt < 5; ++attempt) {
    writer().add_fields(task, attempt, {{"attempt", std::to_string(attempt), ""}});
    if (attempt % 2 == 1) finish();
  }
  finish();
  const auto times = service_.times();
  ASSERT_EQ(times.size(), 5u);
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_GT(times[i] - times[i - 1], 1000);
}

TEST_F(ServiceTest, FindsTaskAfterALostAnswer) {
  writer().new_run({}, {});
  service_.script("POST /flows/Sweep/runs/17/steps/start/task", kLost, true);
  EXPECT_EQ(new_task("start"), "1");
  EXPECT_EQ(new_task("start"), "2");
  EXPECT_EQ(service_.tasks(), 2);
}

TEST_F(ServiceTest, RegistersTaskAgainIfItWasNotRegistered) {
  writer().new_run({}, {});
  service_.script("/steps/start/task", kLost, false);
  service_.script("/steps/start/step", {.status = 503});
  EXPECT_EQ(new_task("start"), "1");
  EXPECT_EQ(service_.tasks(), 1);
}

TEST_F(ServiceTest, AbandonsTasksWhenAllAnswersAreLost) {
  writer().new_run({}, {});
  for (int i = 0; i < 20; ++i) service_.script("POST /flows/Sweep/runs/17/steps/start/task", kLost, false);
  EXPECT_THAT(message_of([&] { new_task("start"); }), HasSubstr("Cannot register a task of Sweep/17/start"));
}

TEST_F(ServiceTest, ExistingStepIsAccepted) {
  writer().new_run({}, {});
  service_.script("/steps/start/step", {.status = 409, .body = "\"duplicate\""});
  EXPECT_EQ(new_task("start"), "1");
}

TEST_F(ServiceTest, RetriesWhenTheServiceDoesNotFindTheTask) {
  writer().new_run({}, {});
  service_.script("/tasks/1/metadata", {.status = 400, .body = R"({"message": "need to register run_id first"})"});
  writer().add_fields({"17", "start", new_task("start")}, 0, {{"attempt", "0", ""}});
  finish();
  EXPECT_EQ(service_.bodies("/metadata").size(), 2u);
}

TEST_F(ServiceTest, ExistingArtifactsAreAccepted) {
  writer().new_run({}, {});
  service_.script("POST /flows/Sweep/runs/17/steps/start/tasks/1/artifact", {.body = R"({"artifacts_created": 0})"});
  service_.script("/tasks/1/attempt/0/artifacts", {.body = R"([{"name": "x", "attempt_id": 0, "sha": "ab"}])"});
  writer().add_artifacts({"17", "start", new_task("start")}, data_with("x"), 0);
  finish();
  EXPECT_EQ(service_.bodies("/artifact").size(), 1u);
}

TEST_F(ServiceTest, RejectedArtifactIsNamed) {
  writer().new_run({}, {});
  for (int i = 0; i < 20; ++i) {
    service_.script("POST /flows/Sweep/runs/17/steps/start/tasks/1/artifact", {.body = R"({"artifacts_created": 0})"});
    service_.script("/tasks/1/attempt/0/artifacts", {.body = "[]"});
  }
  writer().add_artifacts({"17", "start", new_task("start")}, data_with("odd"), 0);
  EXPECT_THAT(message_of([&] { finish(); }), HasSubstr("rejects artifact odd of task Sweep/17/start/1"));
}

TEST_F(ServiceTest, TroubleAndItsEndAreReportedOnce) {
  std::vector<std::string> lines;
  client_.on_trouble([&](const std::string& text) { lines.push_back(text); });
  writer().new_run({}, {});
  for (int i = 0; i < 3; ++i) service_.script("/tasks/1/metadata", {.status = 503});
  writer().add_fields({"17", "start", new_task("start")}, 0, {{"attempt", "0", ""}});
  finish();
  EXPECT_THAT(lines, ElementsAre(HasSubstr("status 503"), HasSubstr("is responding again")));
}

TEST_F(ServiceTest, IdsAreFetchedAheadAtTheRateOfTheirUse) {
  StillClock still;
  TaskIds ids(client_, loop_, still, {"Sweep", "17", "me", {}});
  ids.expect("work", 1000);
  auto take = [&] {
    while (!ids.ready("work", 1)) loop_.run_once();
    ids.take("work");
  };
  take();
  EXPECT_LE(service_.tasks(), 1);  // the first of a step: it may be a slow one
  for (int i = 1; i < 80; ++i) take();
  for (int i = 0; i < 200; ++i) loop_.poll();
  while (service_.tasks() < 90) loop_.run_once();
  EXPECT_EQ(service_.tasks(), 90);  // an eighth of the ids used in this second
  still.now += 10'000'000;
  for (int i = 0; i < 10; ++i) take();
  EXPECT_LE(service_.tasks(), 91);
}

TEST_F(ServiceTest, NoMoreTasksAreRegisteredThanExpected) {
  StillClock still;
  TaskIds ids(client_, loop_, still, {"Sweep", "17", "me", {}});
  ids.expect("work", 30);
  for (int i = 0; i < 30; ++i) {
    while (!ids.ready("work", 16)) loop_.run_once();
    ids.take("work");
  }
  for (int i = 0; i < 100; ++i) loop_.poll();
  EXPECT_EQ(service_.tasks(), 30);
}

TEST_F(ServiceTest, ErrorsQuoteTheService) {
  service_.script("/ping", {.status = 401, .body = R"("{\"err_msg\": {\"pgerror\": \"no\\nentry\"}}")"});
  EXPECT_THAT(message_of([&] { client_.check("2.0.4"); }),
              AllOf(HasSubstr("401: no entry"), HasSubstr("METAFLOW_SERVICE_AUTH_KEY"), HasSubstr(client_.url())));
  service_.script("/ping", {.headers = {{"METADATA_SERVICE_VERSION", "1.9.9"}}, .body = "pong"});
  EXPECT_THAT(message_of([&] { client_.check("2.0.4"); }), HasSubstr("1.9.9"));
  service_.script("/ping", {.body = "pong"});
  EXPECT_EQ(client_.check("2.0.4"), std::nullopt);
}

TEST_F(ServiceTest, InvalidAnswersAreRejected) {
  const std::string deep(100'000, '[');
  for (const std::string& body : {std::string("null"), std::string("[]"), std::string("{\"run_number\": {}}"),
                                  std::string("{\"run_number\": \"../x\"}"), deep}) {
    service_.script("POST /flows/Sweep/run", {.body = body});
    EXPECT_THAT(message_of([&] { writer().new_run({}, {}); }), HasSubstr("Cannot register a run of Sweep")) << body;
  }
}

TEST_F(ServiceTest, InvalidIdIsNamed) {
  writer().new_run({}, {});
  service_.script("POST /flows/Sweep/runs/17/steps/start/task", {.body = R"({"task_id": "../../../x\u001b[2J"})"});
  EXPECT_THAT(message_of([&] { new_task("start"); }),
              AllOf(HasSubstr(R"('../../../x\x1b[2J' is not the id of a task)"), HasSubstr(client_.url())));
}

TEST_F(ServiceTest, InvalidIdInAListIsNamed) {
  writer().new_run({}, {});
  service_.script("POST /flows/Sweep/runs/17/steps/start/task", kLost, true);
  service_.script("GET /flows/Sweep/runs/17/steps/start/tasks", {.body = R"([{"task_id": "1/2"}])"});
  EXPECT_THAT(message_of([&] { new_task("start"); }), HasSubstr("'1/2' is not the id of a task"));
}

}  // namespace
}  // namespace metaflow::store
