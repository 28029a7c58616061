// The session of a language whose steps have no declared artifacts, and whose values are not Values: Python.
#include "runtime/task/session_testing.h"

namespace metaflow::runtime {
namespace {

using store::TaskData;
using store::TaskRef;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class DynamicSession : public SessionTest {
 protected:
  std::unique_ptr<TaskSession> dynamic(const std::string& step, std::vector<TaskRef> inputs) {
    arguments_.step = step;
    arguments_.task = "9";
    arguments_.inputs = std::move(inputs);
    auto session = std::make_unique<TaskSession>(flow_, table_, store_, arguments_, std::vector<std::string>{});
    session->take_all_artifacts();
    session->open();
    return session;
  }
};

TEST_F(DynamicSession, HasTheArtifactsOfItsInput) {
  TaskData before;
  before.artifacts = {stored("new", std::string("n")), stored("word", std::string("w")), stored("_task_ok", true),
                      stored("_hidden", std::string("h")), stored("name", std::string("F"))};
  auto session = dynamic("end", {leave("again", "5", before)});
  EXPECT_THAT(session->artifacts(), UnorderedElementsAre("new", "word", "_hidden"));
  session->begin();
  EXPECT_EQ(read(*session, session->artifact("new")), "n");
  EXPECT_EQ(session->record(session->artifact("unknown")), nullptr);
  session->keep(session->artifact("word"));
  EXPECT_TRUE(save(*session, session->artifact("unknown"), std::string("u")));
  session->finish();
  const TaskData data = left();
  EXPECT_EQ(value_of(data, "unknown"), "u");
  EXPECT_EQ(value_of(data, "word"), "w");
  EXPECT_EQ(data.find("new"), nullptr);
}

TEST_F(DynamicSession, JoinHasTheArtifactsOfAllItsInputs) {
  const TaskRef split = leave_split({"a", "b"});
  TaskData first;
  first.artifacts = {stored("left", std::string("l")), stored("same", std::string("s"))};
  TaskData second;
  second.artifacts = {stored("right", std::string("r")), stored("same", std::string("s"))};
  arguments_.split = split.path();
  auto session = dynamic("join", {leave("work", "2", first), leave("work", "3", second)});
  EXPECT_THAT(session->artifacts(), UnorderedElementsAre("left", "same", "right"));
  JoinInputs& inputs = *session->inputs();
  const std::size_t left_one = session->artifact("left");
  const std::size_t right_one = session->artifact("right");
  EXPECT_TRUE(inputs.has(0, left_one) && !inputs.has(1, left_one));
  EXPECT_TRUE(!inputs.has(0, right_one) && inputs.has(1, right_one));
  EXPECT_FALSE(inputs.has(0, session->artifact("later"))) << "no input has what the step adds";
  EXPECT_EQ(value::read_pickle(inputs.read(1, right_one)).as<std::string>(), "r");
}

TEST_F(DynamicSession, ItemsAreReadByTheLanguage) {
  arguments_.split_index = 1;
  auto session = dynamic("work", {leave_split({"a", "b"})});
  std::size_t asked = 99;
  session->frames().set_item_reader([&](const store::ItemSource& range, std::size_t index) {
    asked = index;
    return range.variable + "!";
  });
  EXPECT_TRUE(session->begin());
  EXPECT_EQ(asked, 1U);
  EXPECT_EQ(metaflow::current().foreach_stack.at(0).value, "items!");
}

TEST_F(DynamicSession, ItemsAreCountedByTheLanguage) {
  auto session = dynamic("start", {leave("_parameters", "0", {})});
  session->begin();
  save(*session, session->artifact("items"), std::string("something that only Python understands"));
  session->fan_out({2, {"one", "two"}});
  session->finish();
  const TaskData data = left();
  EXPECT_EQ(data.splits, 2U);
  EXPECT_EQ(data.items.back().key, data.find("items")->key);
  EXPECT_THAT(value_of<std::vector<std::string>>(data, "_foreach_values"), ElementsAre("one", "two"));
}

TEST_F(DynamicSession, FanOutNeedsItemsAndTheirArtifact) {
  auto session = dynamic("start", {leave("_parameters", "0", {})});
  session->begin();
  session->fan_out({1, {"one"}});
  EXPECT_THAT(error_message(ErrorCode::invalid_flow, [&] { session->finish(); }),
              HasSubstr("Step start has no artifact 'items' to fan out over"));
  save(*session, session->artifact("items"), std::string("x"));
  session->fan_out({0, {}});
  EXPECT_THAT(error_message(ErrorCode::invalid_flow, [&] { session->finish(); }), HasSubstr("produced zero splits"));
}

TEST_F(DynamicSession, TimeLimitIsLeftToTheStep) {
  arguments_.with = {"timeout:seconds=3600"};
  auto session = dynamic("end", {leave("again", "5", {})});
  session->leave_timeout_to_step();
  EXPECT_TRUE(session->begin());
  EXPECT_EQ(session->time_limit(), 3'600'000'000);
}

}  // namespace
}  // namespace metaflow::runtime
