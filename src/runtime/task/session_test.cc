// What a task does with the store, without a language: artifacts are texts here.
#include "runtime/task/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "store/foreach.h"
#include "store/memory/memory_storage.h"
#include "store/stored_artifact.h"
#include "value/unpickler.h"

namespace metaflow::runtime {
namespace {

using detail::Transition;
using store::ArtifactRecord;
using store::TaskData;
using store::TaskRef;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Counts what is asked of it.
class CountingStorage : public store::MemoryStorage {
 public:
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override {
    reads += paths.empty() ? 0 : 1;
    return MemoryStorage::get(paths);
  }
  void put(std::span<const store::Object> objects) override {
    if (broken) throw Error(ErrorCode::data_store, "no space left");
    MemoryStorage::put(objects);
  }
  std::string save_blob(const std::string& directory, store::Pieces content, int spool_file) override {
    if (broken) throw Error(ErrorCode::data_store, "no space left");
    ++blobs;
    return MemoryStorage::save_blob(directory, content, spool_file);
  }
  int reads = 0;
  int blobs = 0;
  bool broken = false;
};

/// start -> work (foreach over items) -> join -> again (which may repeat itself) -> end, all of them with these
/// artifacts.
class SessionTest : public testing::Test {
 protected:
  enum Artifact : std::size_t { kItems, kResult, kWord };

  SessionTest() {
    flow_.name = "F";
    flow_.steps = {{.name = "start", .transition = Transition::foreach, .targets = {1}, .variable = "items"},
                   {.name = "work", .transition = Transition::linear, .targets = {2}, .takes_item = true},
                   {.name = "join", .transition = Transition::linear, .targets = {3}, .join = true},
                   {.name = "again",
                    .transition = Transition::choose,
                    .targets = {3, 4},
                    .cases = {"more", "enough"},
                    .variable = "word"},
                   {.name = "end"}};
    flow_.artifacts = {
        {.name = "items"}, {.name = "result", .kind = detail::ArtifactKind::parameter}, {.name = "word"}};
    arguments_.run = "17";
  }

  template <class T>
  ArtifactRecord stored(const std::string& name, const T& value) {
    return store::save_value(*store_, name, [&](detail::Pickler& out) { detail::encode(out, value); });
  }
  /// What a finished task of another step left.
  TaskRef leave(const std::string& step, const std::string& task, TaskData data) {
    const TaskRef ref{"17", step, task};
    std::sort(data.artifacts.begin(), data.artifacts.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    store_->begin_attempt(ref, data.attempt, 0);
    store_->write_data(ref, data);
    store_->mark_done(ref, data.attempt);
    return ref;
  }
  /// A finished task of `start` that fans out over these.
  TaskRef leave_split(const std::vector<std::string>& items) {
    TaskData data;
    data.artifacts = {stored("items", items), stored("word", std::string("before"))};
    data.next = {"work"};
    data.splits = items.size();
    data.items = {{"items", data.artifacts[0].key, data.artifacts[0].size, ""}};
    return leave("start", "1", data);
  }

  std::unique_ptr<TaskSession> make(const std::string& step, std::vector<TaskRef> inputs) {
    arguments_.step = step;
    arguments_.task = "9";
    arguments_.inputs = std::move(inputs);
    return std::make_unique<TaskSession>(flow_, table_, store_, arguments_,
                                         std::vector<std::string>{"items", "result", "word"});
  }
  std::unique_ptr<TaskSession> open(const std::string& step, std::vector<TaskRef> inputs) {
    auto session = make(step, std::move(inputs));
    session->open();
    return session;
  }
  static std::string read(TaskSession& session, std::size_t artifact) {
    session.read(std::span(&artifact, 1));
    return value::read_pickle(session.payload(artifact)).as<std::string>();
  }
  template <class T>
  static bool save(TaskSession& session, std::size_t artifact, const T& value) {
    detail::Pickler pickler;
    detail::encode(pickler, value);
    pickler.finish();
    return session.save(artifact, {.parts = pickler.parts(), .type = pickler.type()});
  }
  /// What the task that was opened left.
  TaskData left(int attempt = 0) { return *store_->read_attempt({"17", arguments_.step, "9"}, attempt); }
  template <class T = std::string>
  T value_of(const TaskData& data, std::string_view name) {
    return store::StoredArtifact(store_, *data.find(name)).read().as<T>();
  }

  detail::FlowDescription flow_;
  graph::DecoratorTable table_{graph::core_decorators()};
  std::shared_ptr<CountingStorage> storage_ = std::make_shared<CountingStorage>();
  std::shared_ptr<store::FlowStore> store_ = std::make_shared<store::FlowStore>(storage_, "F");
  compute::StepArguments arguments_;
};

/// The message of the Error of this code that `f` throws.
template <class F>
std::string error_message(ErrorCode code, F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

TEST_F(SessionTest, WhatTheInputLeftIsReadAndWhatIsSavedIsLeft) {
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

TEST_F(SessionTest, ManyAreReadTogether) {
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

TEST_F(SessionTest, WhatWasReadAndNotChangedIsNotStoredAgain) {
  TaskData before;
  before.artifacts = {stored("result", std::string("same")), stored("word", std::string("other"))};
  auto session = open("end", {leave("again", "5", before)});
  read(*session, kResult);
  session->begin();
  storage_->blobs = 0;
  EXPECT_FALSE(save(*session, kResult, std::string("same")));
  EXPECT_EQ(storage_->blobs, 0);
  EXPECT_FALSE(save(*session, kWord, std::string("other")));  // was not read: only its key says that it is the same
  EXPECT_EQ(storage_->blobs, 1);
  session->finish();
  EXPECT_EQ(*left().find("result"), before.artifacts[0]);
}

TEST_F(SessionTest, WhatIsStoredAlreadyGetsAnotherName) {
  TaskData before;
  before.artifacts = {stored("word", std::string("x"))};
  auto session = open("end", {leave("again", "5", before)});
  session->begin();
  session->refer(kResult, *session->record(kWord));
  session->finish();
  EXPECT_EQ(left().find("result")->key, before.artifacts[0].key);
}

TEST_F(SessionTest, CurrentTellsOfTheTaskWhileItLives) {
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
  EXPECT_THAT(error_message(ErrorCode::invalid_command, [] { current(); }), HasSubstr("executes no step"));
}

TEST_F(SessionTest, AnAttemptLeavesItsOwnData) {
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

TEST_F(SessionTest, ATaskOfAForeachHasItsItem) {
  arguments_.split_index = 1;
  auto session = open("work", {leave_split({"a", "b", "c"})});
  EXPECT_TRUE(session->begin());
  EXPECT_EQ(session->item().text(), "b");
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

TEST_F(SessionTest, TheStepsBehindHaveTheItemToo) {
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
  EXPECT_EQ(second->item().text(), "c");
  EXPECT_EQ(current().index(), 2U);
}

TEST_F(SessionTest, ASplitThatPythonMadeHasItsDetailsInArtifacts) {
  TaskData python;
  python.artifacts = {stored("items", std::vector<std::string>{"a", "b"}), stored("_foreach_var", std::string("items")),
                      stored("_foreach_num_splits", 2)};
  const TaskRef split = leave("start", "1", python);
  // Without what only our own tasks note.
  std::string json = store::get(*storage_, store_->data_path(split, 0))->text().data();
  json = json.substr(0, json.find(", \"cpp\"")) + "}";
  store::put(*storage_, store_->data_path(split, 0), json);
  arguments_.split_index = 1;
  auto session = open("work", {split});
  EXPECT_TRUE(session->begin());
  EXPECT_EQ(session->item().text(), "b");
  EXPECT_EQ(current().foreach_stack.at(0).num_splits, 2U);
}

TEST_F(SessionTest, AForeachLeavesHowManyThereAre) {
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

TEST_F(SessionTest, AnEmptyRangeIsAnError) {
  auto session = open("start", {leave("_parameters", "0", {})});
  session->begin();
  save(*session, kItems, std::vector<std::string>{});
  EXPECT_THAT(error_message(ErrorCode::invalid_flow, [&] { session->finish(); }),
              HasSubstr("Foreach iterator over items in step start produced zero splits."));
}

// --- choose

TEST_F(SessionTest, AChoiceLeavesOneNextStep) {
  auto session = open("again", {leave("join", "5", {})});
  session->begin();
  save(*session, kWord, std::string("enough"));
  session->finish(1);
  EXPECT_THAT(left().next, ElementsAre("end"));
  EXPECT_EQ(left().iteration, 0U);
}

TEST_F(SessionTest, ARepetitionIsCounted) {
  TaskData before;
  before.artifacts = {stored("_iteration_stack", std::vector<int>{4})};
  auto session = open("again", {leave("again", "5", before)});
  session->begin();
  session->finish(0);
  EXPECT_THAT(left().next, ElementsAre("again"));
  EXPECT_EQ(left().iteration, 5U);
}

TEST_F(SessionTest, AValueWithoutACaseIsShown) {
  auto session = open("again", {leave("join", "5", {})});
  EXPECT_STREQ(session->no_case("'no'").what(),
               "Switch condition variable 'word' has value 'no' which is not in the available cases: [more, enough]");
}

// --- joins

class SessionJoinTest : public SessionTest {
 protected:
  SessionJoinTest() { arguments_.split = leave_split({"a", "b"}).path(); }
  TaskRef leave_input(const std::string& task, std::vector<ArtifactRecord> artifacts) {
    TaskData data;
    data.artifacts = std::move(artifacts);
    data.items = {{"items", "", 0, ""}};
    return leave("work", task, data);
  }
};

TEST_F(SessionJoinTest, WhatTheInputsAgreeOnIsCarriedOver) {
  const ArtifactRecord word = stored("word", std::string("before"));
  auto session =
      open("join", {leave_input("2", {word, stored("result", std::string("r2"))}),
                    leave_input("3", {stored("word", std::string("changed")), stored("result", std::string("r3"))})});
  EXPECT_EQ(session->record(kResult), nullptr);  // two new values
  EXPECT_TRUE(session->inputs()->merged(kResult).conflict);
  EXPECT_EQ(session->record(kItems), nullptr);  // none at all
  EXPECT_TRUE(session->inputs()->merged(kItems).in_no_input);
  EXPECT_EQ(read(*session, kWord), "changed");  // one new value since the split
  EXPECT_TRUE(session->begin());
  EXPECT_EQ(current().index(), std::nullopt);  // outside of the foreach again
  session->keep(kWord);
  session->finish();
  EXPECT_EQ(value_of(left(), "word"), "changed");
  EXPECT_THAT(left().next, ElementsAre("again"));
  EXPECT_THAT(left().items, IsEmpty());
}

TEST_F(SessionJoinTest, ArtifactsOfTheInputsAreRead) {
  auto session = open("join", {leave_input("2", {stored("result", std::string("r2"))}),
                               leave_input("3", {stored("result", std::string("r3"))}), leave_input("4", {})});
  JoinInputs& inputs = *session->inputs();
  ASSERT_EQ(inputs.size(), 3U);
  EXPECT_FALSE(inputs.has(0, kWord));
  EXPECT_FALSE(inputs.has(2, kResult));
  const std::size_t wanted = kResult;
  for (const std::size_t i : {0U, 1U}) {
    inputs.prepare(i, std::span(&wanted, 1));
    EXPECT_EQ(value::read_pickle(inputs.read(i, kResult)).as<std::string>(), "r" + std::to_string(2 + i));
  }
  EXPECT_EQ(inputs.record(1, kResult).name, "result");
}

TEST_F(SessionJoinTest, AJoinNeedsTheTaskThatSplit) {
  const TaskRef input = leave_input("2", {});
  arguments_.split = "";
  EXPECT_THAT(error_message(ErrorCode::usage, [&] { open("join", {input}); }),
              HasSubstr("Step join is a join: --split-path names the task that split"));
  arguments_.split = "17/start/8";
  EXPECT_THAT(error_message(ErrorCode::data_missing, [&] { open("join", {input}); }),
              HasSubstr("The task 17/start/8 that split is not finished or not in the store"));
}

TEST_F(SessionJoinTest, AllInputsMustHaveFinished) {
  const TaskRef input = leave_input("2", {});
  EXPECT_THAT(error_message(ErrorCode::data_missing,
                            [&] {
                              open("join", {input, {"17", "work", "3"}});
                            }),
              HasSubstr("The input 17/work/3 of the join is not finished or not in the store"));
}

// --- failures

TEST_F(SessionTest, AFailureKeepsWhatIsSavedBehindIt) {
  auto session = open("end", {leave("again", "5", {})});
  session->begin();
  save(*session, kWord, std::string("half"));
  testing::internal::CaptureStderr();
  session->fail({.type = "std::out_of_range", .message = "index 3", .stack = {"f() a.cc:1", "g() a.cc:2"}});
  EXPECT_EQ(
      testing::internal::GetCapturedStderr(),
      "<flow F step end> failed:\nstd::out_of_range: index 3\n    thrown in f() a.cc:1\n    called by g() a.cc:2\n\n");
  save(*session, kResult, std::string("reason"));
  session->finish();
  const TaskData data = left();
  EXPECT_FALSE(data.ok);
  EXPECT_EQ(data.failure, "std::out_of_range: index 3");
  EXPECT_THAT(data.next, IsEmpty());
  EXPECT_EQ(data.find("word"), nullptr);
  EXPECT_EQ(value_of(data, "result"), "reason");
  EXPECT_FALSE(value_of<bool>(data, "_task_ok"));
  EXPECT_EQ(value_of<CaughtException>(data, "_exception").type, "std::out_of_range");
}

TEST_F(SessionTest, AFailureOfTheStoreIsSaid) {
  auto session = open("end", {leave("again", "5", {})});
  session->begin();
  storage_->broken = true;
  testing::internal::CaptureStderr();
  session->fail({.type = "", .message = "no space left", .stack = {}});
  session->finish();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("The artifacts of the failed step could not be saved: no space left"));
}

TEST_F(SessionTest, AFailureInAForeachSaysWhichTask) {
  arguments_.split_index = 1;
  auto session = open("work", {leave_split({"a", "b"})});
  session->begin();
  testing::internal::CaptureStderr();
  session->fail({.type = "E", .message = "m", .stack = {}});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("<flow F step work[1] (input: b)> failed:\nE: m\n"));
}

class SessionCatchTest : public SessionTest {
 protected:
  SessionCatchTest() { arguments_.with = {"catch:var=word,print_exception=false"}; }
};

TEST_F(SessionCatchTest, WhatIsCaughtIsAnArtifact) {
  auto session = open("end", {leave("again", "5", {})});
  EXPECT_TRUE(session->begin());
  ASSERT_TRUE(session->catches());
  session->catch_failure({"E", "E: m", "stack"});
  save(*session, kResult, std::string("half"));
  session->finish();
  const TaskData data = left();
  EXPECT_TRUE(data.ok);
  EXPECT_FALSE(value_of<bool>(data, "_success"));
  EXPECT_EQ(value_of<CaughtException>(data, "word").exception, "E: m");
  EXPECT_EQ(value_of(data, "result"), "half");
}

TEST_F(SessionCatchTest, OnlyTheLastAttemptCatches) {
  arguments_.max_user_code_retries = 2;
  const TaskRef input = leave("again", "5", {});
  for (const int attempt : {0, 1, 2}) {
    arguments_.retry_count = attempt;
    auto session = open("end", {input});
    session->begin();
    EXPECT_EQ(session->catches(), attempt == 2);
  }
}

TEST_F(SessionCatchTest, TheAttemptAfterThemNotesTheirFailure) {
  arguments_.failure_type = "E";
  arguments_.failure = "killed";
  arguments_.retry_count = 2;
  arguments_.max_user_code_retries = 1;
  auto session = open("end", {leave("again", "5", {})});
  EXPECT_FALSE(session->begin());
  session->finish();
  EXPECT_TRUE(left(2).ok);
  EXPECT_EQ(value_of<CaughtException>(left(2), "word").exception,
            "Task execution failed 2 times. The last time: killed");
}

TEST_F(SessionCatchTest, NothingIsCaughtOfAStepThatSucceeds) {
  auto session = open("end", {leave("again", "5", {})});
  session->begin();
  session->end();
  session->finish();
  EXPECT_TRUE(value_of<bool>(left(), "_success"));
  EXPECT_EQ(value_of<std::optional<CaughtException>>(left(), "word"), std::nullopt);
}

// --- inputs that are not as they should be

TEST_F(SessionTest, AStepHasOneInput) {
  const TaskRef input = leave("again", "5", {});
  EXPECT_THAT(error_message(ErrorCode::usage, [&] { open("end", {}); }), HasSubstr("Step end has one input, not 0"));
  EXPECT_THAT(error_message(ErrorCode::usage,
                            [&] {
                              open("end", {input, input});
                            }),
              HasSubstr("Step end has one input, not 2"));
}

TEST_F(SessionTest, AnInputMustHaveFinished) {
  store_->begin_attempt({"17", "again", "5"}, 0, 0);
  store_->write_data({"17", "again", "5"}, {});
  EXPECT_THAT(error_message(ErrorCode::data_missing,
                            [&] {
                              open("end", {{"17", "again", "5"}});
                            }),
              HasSubstr("The input 17/again/5 is not finished or not in the store"));
}

TEST_F(SessionTest, AStepMustExist) {
  EXPECT_THAT(error_message(ErrorCode::invalid_command, [&] { make("absent", {}); }),
              HasSubstr("Step absent doesn't exist."));
}

TEST_F(SessionTest, AMissingValueIsNamed) {
  TaskData before;
  before.artifacts = {{"word", std::string(40, 'a'), 10, ""}};
  auto session = open("end", {leave("again", "5", before)});
  EXPECT_THAT(error_message(ErrorCode::data_missing, [&] { read(*session, kWord); }),
              HasSubstr("The value of 'word' is not in the store: blob " + std::string(40, 'a')));
}

TEST_F(SessionTest, DamagedDataOfAnInputIsAnError) {
  const TaskRef input = leave("again", "5", {});
  store::put(*storage_, store_->data_path(input, 0), "{\"objects\": ");
  EXPECT_THAT(error_message(ErrorCode::data_store, [&] { open("end", {input}); }), HasSubstr("0.data.json"));
}

TEST_F(SessionTest, ManyInputsAreInTheStore) {
  const TaskRef input = leave("again", "5", {});
  store::put(*storage_, store_->inputs({"17", "end", "9"}, compute::pack_inputs({input})));
  arguments_.inputs_stored = true;
  auto session = open("end", {});
  EXPECT_TRUE(session->begin());
  session->finish();
  EXPECT_TRUE(left().ok);
}

}  // namespace
}  // namespace metaflow::runtime
