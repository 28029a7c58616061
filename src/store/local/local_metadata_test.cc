#include "store/local/local_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/testing.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr const char* kRowKey = "e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1";

/// A store at ROOT/x/y/.metaflow: a path that escapes it stays in the directory of the test.
class LocalMetadataTest : public testing::Test {
 protected:
  LocalMetadataTest() {
    std::string name = testing::TempDir() + "metadata_XXXXXX";
    directory_ = ::mkdtemp(name.data());
    root_ = directory_ + "/x/y/.metaflow";
    base::make_directories(root_);
    writer_.emplace(root_, "F", "me", "local", root_, clock_);
    writer_->register_run("17", {}, {});
    writer_->register_task(task_);
  }
  ~LocalMetadataTest() override { std::filesystem::remove_all(directory_); }

  std::string refusal(const std::function<void()>& action) {
    const std::size_t before = files();
    try {
      action();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::data_store);
      EXPECT_EQ(files(), before) << "something was written";
      return error.message();
    }
    return "none";
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::recursive_directory_iterator(directory_), {}));
  }

  base::SystemClock clock_;
  std::string directory_;
  std::string root_;
  TaskRef task_{"17", "start", "1"};
  std::optional<LocalMetadataWriter> writer_;
};

TEST_F(LocalMetadataTest, RowsAreReadBack) {
  TaskData data;
  data.artifacts = {{"x", kRowKey, 3, "<class 'int'>", "pickle-v4"}};
  writer_->add_artifacts(task_, data, 1'000'000);
  writer_->add_fields(task_, 0, {{"attempt-done", "0", ""}, {"note", "a \"b\"\n", "kind \"k\""}});
  LocalMetadataReader reader(root_);
  const auto artifacts = reader.artifacts("F", task_, -1);
  ASSERT_EQ(artifacts.size(), 1U);
  EXPECT_EQ(artifacts[0].name, "x");
  EXPECT_EQ(artifacts[0].key, kRowKey);
  const auto fields = reader.fields("F", task_);
  const auto note = std::find_if(fields.begin(), fields.end(), [](const FieldInfo& f) { return f.name == "note"; });
  ASSERT_NE(note, fields.end());
  EXPECT_EQ(note->value, "a \"b\"\n");
  EXPECT_EQ(note->type, "kind \"k\"");
}

/// The attempt fields in the files of a task, oldest first: "attempt=0 of 0".
std::vector<std::string> attempt_fields(const std::string& root, const TaskRef& task) {
  std::vector<std::string> fields;
  for (const FieldInfo& field : LocalMetadataReader(root).fields("F", task))
    fields.push_back(field.name + "=" + field.value + " of " + std::to_string(field.attempt));
  return fields;
}

TEST_F(LocalMetadataTest, OnlyAttemptWritesNoField) {
  writer_->attempt_begins(task_, 0);
  writer_->attempt_ends(task_, 0, true);
  EXPECT_THAT(attempt_fields(root_, task_), IsEmpty());
}

/// Even if the second begins in the millisecond in which the first ends: file names contain the time.
TEST_F(LocalMetadataTest, EachAttemptOfARetriedTaskIsRecorded) {
  base::FakeClock clock;
  LocalMetadataWriter writer(root_, "F", "me", "local", root_, clock);
  writer.attempt_begins(task_, 0);
  writer.attempt_ends(task_, 0, false);
  writer.attempt_begins(task_, 1);
  clock.now += 1000;
  writer.attempt_ends(task_, 1, true);
  EXPECT_THAT(attempt_fields(root_, task_), UnorderedElementsAre("attempt=0 of 0", "attempt_ok=False of 0",
                                                                 "attempt=1 of 1", "attempt_ok=True of 1"));
}

TEST_F(LocalMetadataTest, CloneHasItsOwnAttempt) {
  const TaskRef clone{"18", "start", "1"};
  TaskData data;
  writer_->clone_artifacts(clone, task_, data, 1'000'000);
  EXPECT_THAT(attempt_fields(root_, clone), IsEmpty()) << "the client shows the fields of the origin";
  data.attempt = 2;
  writer_->clone_artifacts(clone, task_, data, 1'000'000);
  EXPECT_THAT(attempt_fields(root_, clone), ElementsAre("attempt=0 of 0"));
}

TEST_F(LocalMetadataTest, TextIsQuoted) {
  TaskData data;
  data.artifacts = {{"x", kRowKey, 3, "", "e\", \"location\": \"elsewhere"}};
  writer_->add_artifacts(task_, data, 1'000'000);
  const auto row = base::read_file(root_ + "/F/17/start/1/_meta/0_artifact_x.json");
  ASSERT_TRUE(row);
  EXPECT_THAT(std::string(row->text()), HasSubstr(R"("content_type": "e\", \"location\": \"elsewhere")"));
}

TEST_F(LocalMetadataTest, PathsStayInsideTheStore) {
  TaskData data;
  data.artifacts = {{"x/../../../../../../../../home/config", kRowKey, 3, "", "pickle-v4"}};
  EXPECT_THAT(refusal([&] { writer_->add_artifacts(task_, data, 1'000'000); }), HasSubstr("/../"));
  EXPECT_THAT(refusal([&] { writer_->clone_artifacts(task_, task_, data, 1'000'000); }), HasSubstr("/../"));
  EXPECT_THAT(refusal([&] { writer_->register_task({"17", "start", "../../../../1"}); }), HasSubstr("/../"));
  EXPECT_THAT(refusal([&] { writer_->new_step("../..", "start"); }), HasSubstr("/../"));
  EXPECT_THAT(refusal([&] { writer_->register_run("../../17", {}, {}); }), HasSubstr("/../"));
  EXPECT_THAT(refusal([&] { writer_->add_fields(task_, 0, {{"../../x", "", ""}}); }), HasSubstr("/../"));
}

TEST_F(LocalMetadataTest, ObjectsAreReadOneByOne) {
  writer_->new_step("17", "start");
  LocalMetadataReader reader(root_);
  EXPECT_EQ(reader.flow("F").value().id, "F");
  EXPECT_EQ(reader.step("F", "17", "start").value().created, reader.steps("F", "17").at(0).created);
  EXPECT_EQ(reader.task("F", task_).value().created, reader.tasks("F", "17", "start").at(0).created);
  EXPECT_FALSE(reader.flow("G"));
  EXPECT_FALSE(reader.flow("../F"));
  EXPECT_FALSE(reader.step("F", "17", "end"));
  EXPECT_FALSE(reader.task("F", {"17", "start", "2"}));
}

TEST_F(LocalMetadataTest, AnArtifactIsThatOfTheLastFinishedAttempt) {
  LocalMetadataReader reader(root_);
  EXPECT_FALSE(reader.artifact("F", task_, -1, "x")) << "no attempt has finished";
  const std::string other = "a" + std::string(kRowKey).substr(1);
  base::FakeClock clock;  // fields of one name differ in their times
  LocalMetadataWriter writer(root_, "F", "me", "local", root_, clock);
  TaskData data;
  for (int attempt = 0; attempt < 3; ++attempt) {
    clock.now += 1'000'000;
    data.attempt = attempt;
    data.artifacts = {{"x", attempt == 1 ? other : kRowKey, 3, "", "pickle-v4"}};
    writer.add_artifacts(task_, data, 1'000'000);
    if (attempt < 2) writer.add_fields(task_, attempt, {{"attempt-done", std::to_string(attempt), ""}});
  }
  EXPECT_EQ(reader.artifact("F", task_, -1, "x").value().key, other);
  EXPECT_EQ(reader.artifact("F", task_, 2, "x").value().key, kRowKey);
  EXPECT_FALSE(reader.artifact("F", task_, 3, "x"));
  EXPECT_FALSE(reader.artifact("F", task_, 1, "y"));
  EXPECT_FALSE(reader.artifact("F", task_, 1, "../x"));
}

TEST_F(LocalMetadataTest, FieldsKeepTheirJson) {
  writer_->add_fields(task_, 0, {{"foreach-stack", R"([["start", 1]])", ""}, {"note", "[1]", ""}});
  for (const FieldInfo& field : LocalMetadataReader(root_).fields("F", task_))
    EXPECT_EQ(field.is_json, field.name == "foreach-stack") << field.name;
}

TEST_F(LocalMetadataTest, InvalidNamesAreNotListed) {
  writer_->new_step("17", "start");
  for (const char* path : {"a flow/_meta/_self.json", "F/1;reboot/_meta/_self.json", "F/17/a step/_meta/_self.json",
                           "F/17/start/--with/_meta/_self.json"})
    base::create_file(root_ + "/" + path, "{}");
  LocalMetadataReader reader(root_);
  EXPECT_THAT(reader.flows(), ElementsAre("F"));
  EXPECT_EQ(reader.runs("F").size(), 1U);
  EXPECT_EQ(reader.steps("F", "17").size(), 1U);
  EXPECT_EQ(reader.tasks("F", "17", "start").size(), 1U);
}

TEST_F(LocalMetadataTest, TaskIdIsTheDirectoryName) {
  base::replace_file(root_ + "/F/17/start/1/_meta/_self.json", R"({"task_id": "../../../../x", "ts_epoch": 1})");
  const auto tasks = LocalMetadataReader(root_).tasks("F", "17", "start");
  ASSERT_EQ(tasks.size(), 1U);
  EXPECT_EQ(tasks[0].id, "1");
}

TEST_F(LocalMetadataTest, ArtifactRowNeedsAValidNameAndKey) {
  const std::string path = root_ + "/F/17/start/1/_meta/0_artifact_x.json";
  for (const auto& [row, words] :
       {std::pair(R"({"name": "../x", "sha": "KEY"})", "'../x' is not the name of an artifact"),
        std::pair(R"({"name": "x", "sha": "../../../x"})", "'../../../x' is not a key"),
        std::pair(R"({"name": "x"})", "'' is not a key")}) {
    base::replace_file(path, row);
    try {
      LocalMetadataReader(root_).artifacts("F", task_, 0);
      ADD_FAILURE() << row;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::data_store);
      EXPECT_THAT(error.message(), testing::AllOf(HasSubstr(path), HasSubstr(words)));
    }
  }
}

}  // namespace
}  // namespace metaflow::store
