#include "runtime/origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "base/text.h"
#include "graph/testing.h"
#include "runtime/task/bookkeeping.h"
#include "runtime/testing.h"
#include "store/memory/memory_storage.h"
#include "store/stored_artifact.h"
#include "value/unpickler.h"

namespace metaflow::runtime {
namespace {

using detail::Transition;
using store::TaskData;
using store::TaskRef;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

/// The flow start -> work (foreach) -> join -> again (recursion) -> end, and the results of run 17.
class OriginTest : public testing::Test {
 protected:
  OriginTest()
      : graph_{{"start", Transition::foreach, {1}},
               {"work", Transition::linear, {2}},
               {"join", Transition::linear, {3}, true},
               {"again", Transition::choose, {3, 4}},
               {"end"}},
        store_(std::make_shared<store::MemoryStorage>(), "F") {}

  TaskData leave(const std::string& step, const std::string& task, TaskData data = {}, bool done = true) {
    const TaskRef ref{"17", step, task};
    if (data.next.empty() && step != "end")
      data.next = {graph_->step(graph_->find(step) + (step == "again" ? 0 : 1)).name};
    if (step == "start") data.splits = 3;
    store_.begin_attempt(ref, data.attempt, 0);
    store_.write_data(ref, data);
    if (done) store_.mark_done(ref, data.attempt);
    return data;
  }
  static TaskData at(std::vector<std::size_t> place) {
    TaskData data;
    data.place = std::move(place);
    return data;
  }
  static TaskData pass(std::size_t iteration) {
    TaskData data;
    data.iteration = iteration;
    return data;
  }
  Origin origin(const std::string& from_step = "") { return {*graph_, language_, store_, "17", from_step}; }
  const Origin::Finished* find(const Origin& origin, const std::string& step, std::vector<std::size_t> place = {},
                               std::size_t iteration = 0) {
    return origin.find(graph_->find(step), place, iteration);
  }
  TaskData read(Origin& origin, const std::string& step, const Origin::Finished* task = nullptr) {
    const std::pair<int, const Origin::Finished*> wanted(graph_->find(step), task ? task : find(origin, step));
    return origin.read(std::span(&wanted, 1)).front();
  }
  std::optional<std::string> damage(const TaskData& data) { return origin().find_damage(std::span(&data, 1)).front(); }
  std::string file(const std::string& step, const std::string& task, const std::string& name) {
    return "F/17/" + step + "/" + task + "/" + name;
  }

  graph::TestGraph graph_;
  TestLanguage language_;
  store::FlowStore store_;
};

TEST_F(OriginTest, TasksAreFoundByTheirPlaceInTheGraph) {
  leave("start", "1");
  leave("work", "4", at({0}));
  leave("work", "2", at({2}));
  leave("again", "5", pass(0));
  leave("again", "6", pass(1));
  const Origin finished = origin();
  EXPECT_EQ(finished.size(), 5U);
  EXPECT_EQ(find(finished, "start")->task, "1");
  EXPECT_EQ(find(finished, "work", {0})->task, "4");
  EXPECT_EQ(find(finished, "work", {1}), nullptr);
  EXPECT_EQ(find(finished, "work", {2})->task, "2");
  EXPECT_EQ(find(finished, "again", {}, 0)->task, "5");
  EXPECT_EQ(find(finished, "again", {}, 1)->task, "6");
  EXPECT_EQ(find(finished, "again", {}, 2), nullptr);
  EXPECT_EQ(find(finished, "end"), nullptr);
}

TEST_F(OriginTest, UnfinishedTasksAreNotFound) {
  leave("start", "1", {}, false);
  TaskData failed = at({0});
  failed.ok = false;
  leave("work", "2", failed);
  EXPECT_EQ(origin().size(), 0U);
}

TEST_F(OriginTest, NewestAttemptCounts) {
  TaskData failed = at({0});
  failed.ok = false;
  leave("work", "2", failed);
  TaskData second = at({0});
  second.attempt = 1;
  leave("work", "2", second);
  EXPECT_EQ(find(origin(), "work", {0})->attempt, 1);
  store_.begin_attempt({"17", "work", "2"}, 2, 0);  // begun, and never finished
  EXPECT_EQ(find(origin(), "work", {0}), nullptr);
}

TEST_F(OriginTest, StepsFromTheGivenOneAreExecutedAgain) {
  leave("start", "1");
  leave("work", "2", at({0}));
  leave("join", "3");
  leave("again", "4", pass(0));
  const Origin finished = origin("join");
  EXPECT_NE(find(finished, "work", {0}), nullptr);
  EXPECT_EQ(find(finished, "join"), nullptr);
  EXPECT_EQ(find(finished, "again"), nullptr);
  EXPECT_THAT(steps_from(*graph_, graph_->find("again")), UnorderedElementsAre(3, 4));
}

TEST_F(OriginTest, DamagedTasksCountAsUnfinished) {
  for (const char* damage : {"", "{", "[]", "{\"objects\": 1}", "{\"version\": \"2.0\"}"}) {
    leave("start", "1");
    leave("join", "2");
    store::put(store_.storage(), file("start", "1", "0.data.json"), damage);
    const Origin finished = origin();
    EXPECT_EQ(find(finished, "start"), nullptr) << damage;
    EXPECT_NE(find(finished, "join"), nullptr) << damage;
  }
}

TEST_F(OriginTest, TaskWithAnotherNextStepIsRejected) {
  TaskData elsewhere;
  elsewhere.next = {"a", "b"};
  leave("join", "1", elsewhere);
  Origin finished = origin();
  try {
    read(finished, "join");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_command);
    EXPECT_THAT(error.what(), HasSubstr("task join/1 goes on to a, b, but step join goes on to again now"));
    EXPECT_THAT(error.what(), HasSubstr("resume join"));
  }
}

TEST_F(OriginTest, StepThatIsExecutedAgainMayBeRenamed) {
  TaskData before;
  before.next = {"once_more"};
  leave("join", "1", before);
  Origin unaware = origin();
  try {
    read(unaware, "join");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::EndsWith("resume again")) << "the renamed step, by its new name";
  }
  Origin aware = origin("again");
  TaskData data = read(aware, "join");
  EXPECT_THAT(data.next, testing::ElementsAre("again"));
  EXPECT_TRUE(aware.has_renamed_next(graph_->find("join")));
  EXPECT_FALSE(aware.has_renamed_next(graph_->find("start")));
  replace_transition(store_, data);
  const store::ArtifactRecord* transition = data.find("_transition");
  ASSERT_NE(transition, nullptr);
  const Document document = value::read_pickle(store_.load_value(transition->key, transition->size, "_transition"));
  EXPECT_EQ(document.root()[0][0].text(), "again");
}

TEST_F(OriginTest, ChoiceMustBeOneOfTheTargets) {
  TaskData chosen = pass(0);
  chosen.next = {"end"};
  leave("again", "1", chosen);
  Origin finished = origin();
  EXPECT_EQ(read(finished, "again").next[0], "end");
  chosen.next = {"nowhere"};
  leave("again", "1", chosen);
  EXPECT_THROW(read(finished, "again"), Error);
}

TEST_F(OriginTest, DamagedBlobsAreFound) {
  const auto piece = base::as_bytes("content");
  TaskData data;
  data.artifacts = {{"x", store_.save_value(store::Pieces(&piece, 1)), 7, "", "pickle-v4"}};
  EXPECT_EQ(damage(data), std::nullopt);
  store::put(store_.storage(), store::blob_path("F/data", data.artifacts[0].key), "");
  EXPECT_THAT(damage(data).value_or(""), HasSubstr("The value of 'x' is damaged"));
  data.artifacts[0].key = std::string(40, 'a');
  EXPECT_THAT(damage(data).value_or(""), HasSubstr("is missing"));
}

TEST_F(OriginTest, ValuesMustFitTheCurrentTypes) {
  graph::DecoratorTable table{graph::core_decorators()};
  detail::FlowDescription flow{
      .name = "F",
      .steps = {{.name = "start", .transition = Transition::linear, .targets = {1}}, {.name = "end"}},
      .artifacts = {{.name = "large"},
                    {.name = "lazy", .kind = detail::ArtifactKind::lazy},
                    {.name = "n", .kind = detail::ArtifactKind::parameter},
                    {.name = "new"},
                    {.name = "x"}}};
  const graph::Graph graph(flow, table);
  std::vector<std::string> checked;
  const TestLanguage language([&](std::string_view artifact, const Value& value, const detail::Place& place) {
    EXPECT_EQ(place.name, artifact);
    checked.emplace_back(artifact);
    if (value.kind() == Kind::text) throw Error(ErrorCode::invalid_value, "a number is wanted");
  });
  auto saved = [&](const std::string& name, const auto& value) {
    return store::save_value(store_, name, [&](detail::Pickler& out) { detail::encode(out, value); });
  };
  TaskData data;
  data.artifacts = {saved("large", std::string(2'000'000, 'a')), saved("lazy", 1), saved("n", 2), saved("old", 3),
                    saved("x", 4)};
  const Origin finished(graph, language, store_, "17", "");
  finished.check_types(0, {"1", 0}, data);
  EXPECT_THAT(checked, testing::ElementsAre("n", "x"));
  data.artifacts.back() = saved("x", std::string("four"));
  try {
    finished.check_types(0, {"1", 0}, data);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_command);
    EXPECT_THAT(error.what(), HasSubstr("in task start/1, a number is wanted"));
    EXPECT_THAT(error.what(), HasSubstr("resume start"));
  }
}

TEST_F(OriginTest, VanishedTask) {
  leave("join", "1");
  Origin finished = origin();
  const Origin::Finished gone{"99", 0};
  EXPECT_THROW(read(finished, "join", &gone), Error);
}

}  // namespace
}  // namespace metaflow::runtime
