// Joins, and how a task handles failures and unexpected inputs, without a language.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "runtime/task/forked_copy.h"
#include "runtime/task/session_testing.h"
#include "store/open.h"

namespace metaflow::runtime {
namespace {

using store::ArtifactRecord;
using store::TaskData;
using store::TaskRef;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(ForkedCopyEnds, WhenItLeavesTheStep) {
  const pid_t task = ::getpid();
  pid_t copy = -1;
  {
    const ForkedCopyEnds ends;
    copy = ::fork();
  }
  if (::getpid() != task) ::_exit(0);
  int status = 0;
  ASSERT_EQ(::waitpid(copy, &status, 0), copy);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
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

TEST_F(SessionJoinTest, AgreedArtifactsAreCarriedOver) {
  const ArtifactRecord word = stored("word", std::string("before"));
  auto session =
      open("join", {leave_input("2", {word, stored("result", std::string("r2"))}),
                    leave_input("3", {stored("word", std::string("changed")), stored("result", std::string("r3"))})});
  EXPECT_EQ(session->record(kResult), nullptr);  // two new values
  EXPECT_TRUE(session->inputs()->merged(kResult).conflict);
  EXPECT_EQ(session->record(kItems), nullptr);  // no value
  EXPECT_TRUE(session->inputs()->merged(kItems).in_no_input);
  EXPECT_EQ(read(*session, kWord), "changed");  // one new value since the split
  EXPECT_TRUE(session->begin());
  EXPECT_EQ(current().index(), std::nullopt);  // the join is outside of the foreach
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

TEST_F(SessionJoinTest, JoinRequiresTheTaskThatMadeTheSplit) {
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

TEST_F(SessionTest, ArtifactsSavedAfterAFailureAreKept) {
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

TEST_F(SessionTest, StoreErrorWhileSavingIsReported) {
  auto session = open("end", {leave("again", "5", {})});
  session->begin();
  storage_->broken = true;
  testing::internal::CaptureStderr();
  session->fail({.type = "", .message = "no space left", .stack = {}});
  session->finish();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("The artifacts of the failed step could not be saved: no space left"));
}

TEST_F(SessionTest, FailureInAForeachNamesTheItem) {
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

TEST_F(SessionCatchTest, CaughtExceptionIsAnArtifact) {
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
  EXPECT_EQ(data.find("_exception"), nullptr) << "a task that is good has none";
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

TEST_F(SessionCatchTest, FallbackAttemptRecordsTheFailure) {
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

TEST_F(SessionCatchTest, FallbackAttemptKeepsValuesOfTheTimedOutAttempt) {
  store::TaskData timed_out;
  timed_out.ok = false;
  timed_out.artifacts = {stored("word", std::string("set in time"))};
  store_->begin_attempt({"17", "end", "9"}, 0, 0);
  store_->write_data({"17", "end", "9"}, timed_out);
  arguments_.retry_count = 1;
  arguments_.max_user_code_retries = 0;
  arguments_.failure = "Step end timed out";
  arguments_.failure_type = CaughtException::kTimedOut;
  auto session = open("end", {leave("again", "5", {})});
  EXPECT_EQ(read(*session, kWord), "set in time");
}

TEST_F(SessionTest, ValuesAreSavedAtATimeout) {
  std::string directory = testing::TempDir() + "session_XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  storage_ = nullptr;
  store_ = std::make_shared<store::FlowStore>(store::open_storage("local", directory), "F");
  arguments_.datastore = "local";
  arguments_.datastore_root = directory;
  arguments_.with = {"timeout:seconds=0.01"};
  auto session = open("end", {leave("again", "5", {})});
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(2);
    std::string word = "before";
    session->begin([&] { save(*session, kWord, word); });
    word = "set in time";
    while (true) ::pause();
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WTERMSIG(status), compute::timeout_signal());
  if (!kSavesAtTimeout) GTEST_SKIP();
  const store::TaskData data = left();
  ASSERT_FALSE(data.ok);
  ASSERT_NE(data.find("word"), nullptr);
  EXPECT_THAT(data.failure, StartsWith("Step end timed out after"));
  EXPECT_EQ(value_of(data, "word"), "set in time");
  std::filesystem::remove_all(directory);
}

TEST_F(SessionCatchTest, SuccessfulStepHasNoCaughtException) {
  auto session = open("end", {leave("again", "5", {})});
  session->begin();
  session->end();
  session->finish();
  EXPECT_TRUE(value_of<bool>(left(), "_success"));
  EXPECT_EQ(value_of<std::optional<CaughtException>>(left(), "word"), std::nullopt);
}

// --- unexpected inputs

TEST_F(SessionTest, StepHasOneInput) {
  const TaskRef input = leave("again", "5", {});
  EXPECT_THAT(error_message(ErrorCode::usage, [&] { open("end", {}); }), HasSubstr("Step end has one input, not 0"));
  EXPECT_THAT(error_message(ErrorCode::usage,
                            [&] {
                              open("end", {input, input});
                            }),
              HasSubstr("Step end has one input, not 2"));
}

TEST_F(SessionTest, InputMustHaveFinished) {
  store_->begin_attempt({"17", "again", "5"}, 0, 0);
  store_->write_data({"17", "again", "5"}, {});
  EXPECT_THAT(error_message(ErrorCode::data_missing,
                            [&] {
                              open("end", {{"17", "again", "5"}});
                            }),
              HasSubstr("The input 17/again/5 is not finished or not in the store"));
}

TEST_F(SessionTest, StepMustExist) {
  EXPECT_THAT(error_message(ErrorCode::invalid_command, [&] { make("absent", {}); }),
              HasSubstr("Step absent doesn't exist."));
}

TEST_F(SessionTest, MissingValueIsNamed) {
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

TEST_F(SessionTest, ManyInputsAreReadFromTheStore) {
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
