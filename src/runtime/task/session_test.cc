// How a task uses the store when it succeeds, without a language.
#include "runtime/task/session_testing.h"

namespace metaflow::runtime {
namespace {

using store::TaskData;
using store::TaskRef;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(SessionTest, InputsAreReadAndResultsAreWritten) {
  TaskData before;
  before.artifacts = {stored("result", std::string("old")), stored("word", std::string("enough"))};
  auto session = open("end", {leave("again", "5", before)});
  EXPECT_EQ(session->record(kItems), nullptr);
  EXPECT_EQ(*session->record(kWord), before.artifacts[1]);
  EXPECT_EQ(read(*session, kResult), "old");
  EXPECT_TRUE(session->begin());
  session->end();
  session->keep(kWord);
  EXPECT_TRUE(save(*session, kResult, std::string("new")));
  session->finish();

  const TaskData data = left();
  EXPECT_TRUE(data.ok);
  EXPECT_THAT(data.next, IsEmpty());
  EXPECT_EQ(value_of(data, "result"), "new");
  EXPECT_EQ(*data.find("word"), before.artifacts[1]);
  EXPECT_EQ(data.find("items"), nullptr);
  EXPECT_TRUE(value_of<bool>(data, "_task_ok"));
  EXPECT_EQ(value_of(data, "_current_step"), "end");
}

TEST_F(SessionTest, ArtifactsAreReadTogether) {
  TaskData before;
  before.artifacts = {stored("items", std::string("a")), stored("result", std::string("b")),
                      stored("word", std::string("c"))};
  auto session = open("end", {leave("again", "5", before)});
  storage_->reads = 0;
  const std::vector<std::size_t> all{kItems, kResult, kWord};
  session->read(all);
  EXPECT_EQ(storage_->reads, 1);
  EXPECT_EQ(value::read_pickle(session->payload(kWord)).as<std::string>(), "c");
}

TEST_F(SessionTest, UnchangedArtifactIsNotStoredAgain) {
  TaskData before;
  before.artifacts = {stored("result", std::string("same")), stored("word", std::string("other"))};
  auto session = open("end", {leave("again", "5", before)});
  read(*session, kResult);
  session->begin();
  storage_->blobs = 0;
  EXPECT_FALSE(save(*session, kResult, std::string("same")));
  EXPECT_EQ(storage_->blobs, 0);
  EXPECT_FALSE(
      save(*session, kWord, std::string("other")));  // not read before: the key alone shows that it is the same
  EXPECT_EQ(storage_->blobs, 1);
  session->finish();
  EXPECT_EQ(*left().find("result"), before.artifacts[0]);
}

TEST_F(SessionTest, StoredValueMayGetAnotherName) {
  TaskData before;
  before.artifacts = {stored("word", std::string("x"))};
  auto session = open("end", {leave("again", "5", before)});
  session->begin();
  session->refer(kResult, *session->record(kWord));
  session->finish();
  EXPECT_EQ(left().find("result")->key, before.artifacts[0].key);
}

TEST_F(SessionTest, CurrentDescribesTheRunningTask) {
  arguments_.retry_count = 3;
  arguments_.name_space = "user:me";
  arguments_.tags = {"nightly"};
  {
    auto session = open("end", {leave("again", "5", {})});
    EXPECT_EQ(current().pathspec(), "F/17/end/9");
    EXPECT_EQ(current().retry_count, 3);
    EXPECT_EQ(current().namespace_, "user:me");
    EXPECT_THAT(current().tags, ElementsAre("nightly"));
    EXPECT_THAT(current().parameter_names, ElementsAre("result"));
    EXPECT_EQ(current().index(), std::nullopt);
  }
  EXPECT_THAT(error_message(ErrorCode::invalid_command, [] { current(); }), HasSubstr("no step is running"));
}

TEST_F(SessionTest, AttemptsHaveSeparateData) {
  const TaskRef input = leave("again", "5", {});
  for (const int attempt : {0, 2}) {
    arguments_.retry_count = attempt;
    auto session = open("end", {input});
    session->begin();
    save(*session, kWord, "attempt " + std::to_string(attempt));
    session->finish();
  }
  EXPECT_EQ(value_of(left(0), "word"), "attempt 0");
  EXPECT_EQ(value_of(left(2), "word"), "attempt 2");
  EXPECT_EQ(left(2).attempt, 2);
}

// --- foreach

TEST_F(SessionTest, ForeachTaskHasItsItem) {
  arguments_.split_index = 1;
  auto session = open("work", {leave_split({"a", "b", "c"})});
  EXPECT_TRUE(session->begin());
  EXPECT_EQ(session->frames().item().text(), "b");
  ASSERT_EQ(current().foreach_stack.size(), 1U);
  const ForeachFrame frame = current().foreach_stack[0];
  EXPECT_EQ(frame.step, "work");
  EXPECT_EQ(frame.variable, "items");
  EXPECT_EQ(frame.num_splits, 3U);
  EXPECT_EQ(frame.index, 1U);
  EXPECT_EQ(frame.value, "b");
  session->finish();
  const TaskData data = left();
  EXPECT_THAT(data.place, ElementsAre(1));
  EXPECT_THAT(data.next, ElementsAre("join"));
  ASSERT_EQ(data.items.size(), 1U);
  EXPECT_EQ(data.items[0].variable, "items");
}

TEST_F(SessionTest, LaterStepsOfTheForeachHaveTheItemToo) {
  arguments_.split_index = 2;
  auto first = open("work", {leave_split({"a", "b", "c"})});
  first->begin();
  first->finish();
  store_->begin_attempt({"17", "work", "9"}, 0, 0);
  store_->mark_done({"17", "work", "9"}, 0);

  flow_.steps[4].takes_item = true;
  arguments_.split_index.reset();
  auto second = open("end", {{"17", "work", "9"}});
  EXPECT_TRUE(second->begin());
  EXPECT_EQ(second->frames().item().text(), "c");
  EXPECT_EQ(current().index(), 2U);
}

TEST_F(SessionTest, DetailsOfAPythonSplitComeFromItsArtifacts) {
  TaskData python;
  python.artifacts = {stored("items", std::vector<std::string>{"a", "b"}), stored("_foreach_var", std::string("items")),
                      stored("_foreach_num_splits", 2)};
  const TaskRef split = leave("start", "1", python);
  // Removes the details, which Python tasks do not have.
  std::string json = store::get(*storage_, store_->data_path(split, 0))->text().data();
  json = json.substr(0, json.find(", \"cpp\"")) + "}";
  store::put(*storage_, store_->data_path(split, 0), json);
  arguments_.split_index = 1;
  auto session = open("work", {split});
  EXPECT_TRUE(session->begin());
  EXPECT_EQ(session->frames().item().text(), "b");
  EXPECT_EQ(current().foreach_stack.at(0).num_splits, 2U);
}

TEST_F(SessionTest, ForeachRecordsTheNumberOfItems) {
  auto session = open("start", {leave("_parameters", "0", {})});
  session->begin();
  save(*session, kItems, std::vector<std::string>{"a", "b"});
  session->finish();
  const TaskData data = left();
  EXPECT_EQ(data.splits, 2U);
  EXPECT_EQ(data.items.back().key, data.find("items")->key);
  EXPECT_EQ(value_of<int>(data, "_foreach_num_splits"), 2);
  EXPECT_THAT(value_of<std::vector<std::string>>(data, "_foreach_values"), ElementsAre("a", "b"));
}

TEST_F(SessionTest, EmptyRangeIsAnError) {
  auto session = open("start", {leave("_parameters", "0", {})});
  session->begin();
  save(*session, kItems, std::vector<std::string>{});
  EXPECT_THAT(error_message(ErrorCode::invalid_flow, [&] { session->finish(); }),
              HasSubstr("Foreach iterator over items in step start produced zero splits."));
}

// --- choose

TEST_F(SessionTest, ChoiceHasOneNextStep) {
  auto session = open("again", {leave("join", "5", {})});
  session->begin();
  save(*session, kWord, std::string("enough"));
  session->finish(1);
  EXPECT_THAT(left().next, ElementsAre("end"));
  EXPECT_EQ(left().iteration, 0U);
}

TEST_F(SessionTest, IterationsAreCounted) {
  TaskData before;
  before.artifacts = {stored("_iteration_stack", std::vector<int>{4})};
  auto session = open("again", {leave("again", "5", before)});
  session->begin();
  session->finish(0);
  EXPECT_THAT(left().next, ElementsAre("again"));
  EXPECT_EQ(left().iteration, 5U);
}

TEST_F(SessionTest, ValueWithoutACaseIsNamed) {
  auto session = open("again", {leave("join", "5", {})});
  EXPECT_STREQ(session->no_case("'no'").what(),
               "Switch condition variable 'word' has value 'no' which is not in the available cases: [more, enough]");
}

}  // namespace
}  // namespace metaflow::runtime
