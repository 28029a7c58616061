#include "store/task_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "base/format.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kDataKey = "e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1";

/// data.json with one artifact, and with `details` under "cpp".
std::string data_json(const std::string& artifact, const std::string& encoding, const std::string& details) {
  return fmt::format(
      R"({{"version": "1.0", "attempt": 0, "objects": {{"{0}": "{1}"}},)"
      R"( "info": {{"{0}": {{"size": 3, "type": "<class 'int'>", "encoding": "{2}"}}}}, "cpp": {{"ok": true, {3}}}}})",
      artifact, kDataKey, encoding, details);
}

std::string data_refusal(const std::string& json) {
  try {
    task_data_from_json(json, "17/start/1/0.data.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::data_store);
    return error.message();
  }
  return "none";
}

TEST(TaskData, RoundTrip) {
  TaskData data;
  data.attempt = 2;
  data.artifacts = {{"_foreach_stack", kDataKey, 1, "<class 'list'>"},
                    {"x", kDataKey, 9, "<class 'int'>", "gzip+pickle-v4"}};
  data.has_details = true;
  data.next = {"work"};
  data.splits = 4;
  data.items = {{"alphas", kDataKey, 5, kDataKey}, {"betas", "", 0, ""}};
  data.place = {3};
  data.iteration = 1;
  data.ok = false;
  data.failure = "it \"threw\"\n\\ \x01";
  const TaskData read = task_data_from_json(to_json(data, "local"), "p");
  EXPECT_EQ(read.attempt, 2);
  EXPECT_EQ(read.artifacts, data.artifacts);
  EXPECT_EQ(read.next, data.next);
  EXPECT_EQ(read.splits, data.splits);
  EXPECT_EQ(read.items, data.items);
  EXPECT_EQ(read.place, data.place);
  EXPECT_EQ(read.iteration, data.iteration);
  EXPECT_FALSE(read.ok);
  EXPECT_EQ(read.failure, data.failure);
}

TEST(TaskData, TextIsQuoted) {
  TaskData data;
  data.artifacts = {{"a\"b", "k\"", 1, "t\"", "e\", \"sha\": \"f"}};
  data.items = {{"v\"", "i\"", 1, "o\""}, {"w", "j", 1, "", "s\""}};
  data.next = {"n\""};
  const std::string json = to_json(data, "d\"");
  for (const char* quoted : {R"("a\"b": "k\"")", R"("type": "t\"")", R"("encoding": "e\", \"sha\": \"f")", R"(["n\""])",
                             R"(["v\"", "i\"", 1, "o\""])", R"(["w", "j", 1, "", "s\""])", R"("datastore": "d\"")"})
    EXPECT_THAT(json, HasSubstr(quoted));
}

TEST(TaskData, PythonNamesAreAccepted) {
  for (const char* name : {"x", "name", "_foreach_stack", "_Flow__hidden", "X9", "größe", "数", "ªb", "a‿b", "\\u00e9"})
    EXPECT_EQ(data_refusal(data_json(name, "pickle-v4", R"("next": [])")), "none") << name;
  for (const char* encoding : {"pickle-v2", "gzip+pickle-v4", "json", "my.format/v1", ""})
    EXPECT_EQ(data_refusal(data_json("x", encoding, R"("next": [])")), "none") << encoding;
}

TEST(TaskData, ArtifactNameMustBeAnIdentifier) {
  for (const char* name : {"", "x/../../../../home/v/.metaflowconfig/config", "..", ".x", "/x", "a b", "a-b", "1a",
                           "a\\\"b", "a\\u0000b", "a\\u001bb", "a\\nb", "a\\u0085b", "a\\u202eb", "a\\u200bb"}) {
    EXPECT_THAT(data_refusal(data_json(name, "pickle-v4", R"("next": [])")),
                HasSubstr("'17/start/1/0.data.json' is damaged: '"))
        << name;
  }
  EXPECT_THAT(data_refusal(data_json("a\\u001b]0;b", "pickle-v4", R"("next": [])")),
              HasSubstr(R"('a\x1b]0;b' is not the name of an artifact)"));
}

TEST(TaskData, EncodingMustBeAWord) {
  for (const char* encoding : {"x\\\", \\\"sha\\\": \\\"y", "a b", "a\\nb", "a\\u001bb"})
    EXPECT_THAT(data_refusal(data_json("x", encoding, R"("next": [])")), HasSubstr("is not an encoding")) << encoding;
}

TEST(TaskData, NextMustBeStepNames) {
  EXPECT_THAT(data_refusal(data_json("x", "", R"("next": ["../../x"])")),
              HasSubstr("'../../x' is not the name of a step"));
  EXPECT_THAT(data_refusal(data_json("x", "", R"("next": ["a/b"])")), HasSubstr("'a/b' is not the name of a step"));
}

TEST(TaskData, ItemsMustHaveAValidArtifactAndKeys) {
  auto items = [](const std::string& variable, const std::string& key, const std::string& offsets) {
    return data_json("x", "", fmt::format(R"("next": [], "items": [["{}", "{}", 3, "{}"]])", variable, key, offsets));
  };
  EXPECT_EQ(data_refusal(items("v", kDataKey, kDataKey)), "none");
  EXPECT_EQ(data_refusal(items("v", "", "")), "none") << "behind an inner join of Python";
  EXPECT_THAT(data_refusal(items("../v", kDataKey, "")), HasSubstr("'../v' is not the name of an artifact"));
  EXPECT_THAT(data_refusal(items("v", "../../../../etc/passwd", "")),
              HasSubstr("'../../../../etc/passwd' is not a key"));
  EXPECT_THAT(data_refusal(items("v", kDataKey, "E2F1")), HasSubstr("'E2F1' is not a key"));
  EXPECT_THAT(data_refusal(items("v", kDataKey, R"(", "../x)")), HasSubstr("'../x' is not a key")) << "separate items";
}

TEST(TaskData, AttemptMustBeASmallNumber) {
  EXPECT_THAT(data_refusal(R"({"attempt": -1, "objects": {}, "info": {}})"), HasSubstr("attempt"));
  EXPECT_THAT(data_refusal(R"({"attempt": 4294967296, "objects": {}, "info": {}})"), HasSubstr("attempt"));
}

TEST(TaskData, TypeIsMadeVisibleOnOneLine) {
  const TaskData data = task_data_from_json(
      fmt::format(R"({{"objects": {{"x": "{}"}}, "info": {{"x": {{"size": 1, "type": "<a\n\u001b[2J>"}}}}}})",
                  kDataKey),
      "p");
  EXPECT_EQ(data.artifacts[0].type, R"(<a\n\x1b[2J>)");
}

}  // namespace
}  // namespace metaflow::store
