#include "store/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace metaflow::store {
namespace {

using namespace std::string_literals;

constexpr const char* kGoodKey = "e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1e2f1";

TEST(Names, FlowsStepsAndArtifactsAreIdentifiers) {
  for (const NameKind kind : {NameKind::flow, NameKind::step, NameKind::artifact}) {
    for (const std::string& name : {"a"s, "Sweep"s, "_parameters"s, "x9"s, "größe"s, "数値"s, "ªb"s, "a‿b"s, "𝒳"s})
      EXPECT_TRUE(is_name(kind, name)) << name;
    for (const std::string& name : {""s,
                                    "."s,
                                    ".."s,
                                    "a/b"s,
                                    "../a"s,
                                    "/a"s,
                                    "a b"s,
                                    "a-b"s,
                                    "a.b"s,
                                    "9a"s,
                                    "a\0"s,
                                    "a\n"s,
                                    "a\x1b[2J"s,
                                    "a\x7f"s,
                                    "a\xff"s,
                                    "a\xc2\x85"s,
                                    "a\xc2\xa0"s,
                                    "a\xe2\x80\xae"s,
                                    "a\xe2\x80\x8b"s,
                                    "a\xef\xbb\xbf"s,
                                    "a\xed\xa0\x80"s,
                                    std::string(256, 'a')})
      EXPECT_FALSE(is_name(kind, name)) << name;
  }
}

TEST(Names, IdsHavePlainCharacters) {
  for (const NameKind kind : {NameKind::run, NameKind::task}) {
    for (const std::string& id :
         {"0"s, "1795366132157650"s, "argo-sweep-x7k2p"s, "sfn-0a.b"s, "control-1-node-2"s, "t_1"s})
      EXPECT_TRUE(is_name(kind, id)) << id;
    for (const std::string& id : {""s, "."s, ".."s, ".a"s, "-a"s, "--with"s, "a/b"s, "../../a"s, "a b"s, "a;b"s, "a\0"s,
                                  "a\n"s, "ä"s, "_meta"s, std::string(201, '1')})
      EXPECT_FALSE(is_name(kind, id)) << id;
  }
  EXPECT_FALSE(is_name(NameKind::run, "data")) << "the blobs of the flow";
  EXPECT_FALSE(is_name(NameKind::step, "_meta"));
}

TEST(Names, KeysAreFortyHexDigits) {
  EXPECT_TRUE(is_name(NameKind::key, kGoodKey));
  const std::string key = kGoodKey;
  for (const std::string& other :
       {""s, key.substr(1), key + "0", "E" + key.substr(1), "g" + key.substr(1), "../" + key.substr(3)})
    EXPECT_FALSE(is_name(NameKind::key, other)) << other;
}

TEST(Names, TaskRefHasThreeParts) {
  EXPECT_EQ(parse_task_ref("17/start/1"), (TaskRef{"17", "start", "1"}));
  EXPECT_EQ(parse_task_ref("argo-x/größe/t-1"), (TaskRef{"argo-x", "größe", "t-1"}));
  for (const char* text : {"", "17", "17/start", "17/start/1/2", "17//1", "/start/1", "17/start/", "../start/1",
                           "17/../1", "17/start/..", "17/a-b/1", "17/start/_meta"})
    EXPECT_FALSE(parse_task_ref(text)) << text;
}

TEST(Names, InvalidNameIsShownWithVisibleControlCharacters) {
  try {
    check_name(NameKind::step, "a\x1b[2J\n", "the answer");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::data_store);
    EXPECT_EQ(error.message(), R"(In the answer, 'a\x1b[2J\n' is not the name of a step)");
  }
  check_name(NameKind::step, "a", "the answer");
}

TEST(Names, PathStaysBelowItsRoot) {
  EXPECT_EQ(path_below("/r/.metaflow", "F/1/start/2/0.data.json"), "/r/.metaflow/F/1/start/2/0.data.json");
  EXPECT_EQ(path_below("/r", "F/.hidden/...x/ü ?"), "/r/F/.hidden/...x/ü ?");
  for (const std::string& path :
       {""s, "/"s, "/etc"s, ".."s, "a/.."s, "a/../b"s, "a/./b"s, "a//b"s, "a/"s, "a\0b"s, "a\nb"s})
    EXPECT_THROW(path_below("/r", path), Error) << path;
}

}  // namespace
}  // namespace metaflow::store
