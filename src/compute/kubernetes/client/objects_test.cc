#include "compute/kubernetes/client/objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace metaflow::kube {
namespace {

using testing::ElementsAre;

std::vector<std::string> names_of(std::string_view page, std::optional<PageEnd>& end) {
  std::vector<std::string> names;
  end = parse_page(page, [&](Json&& object) { names.push_back(text_at(object, {"metadata", "name"})); });
  return names;
}

TEST(KubernetesObjects, Pages) {
  std::optional<PageEnd> end;
  EXPECT_THAT(names_of(R"({"kind":"PodList","metadata":{"resourceVersion":"7","continue":"c","items":[{}]},
                           "items":[{"metadata":{"name":"a"},"spec":{"items":[{"metadata":{"name":"x"}}]}},
                                    {"metadata":{"name":"b"}}],"other":[{"metadata":{"name":"y"}}]})",
                       end),
              ElementsAre("a", "b"));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->resource_version, "7");
  EXPECT_EQ(end->continue_token, "c");
  EXPECT_THAT(names_of(R"({"items":[],"metadata":{"resourceVersion":"8"}})", end), ElementsAre());
  ASSERT_TRUE(end);
  EXPECT_EQ(end->resource_version, "8");
  EXPECT_EQ(end->continue_token, "");
}

TEST(KubernetesObjects, InvalidPages) {
  std::optional<PageEnd> end;
  for (const std::string text :
       {"", "[]", "{}", "<html>", R"({"items":[{"metadata":{"name":"a"}})", R"({"kind":"Status"})"}) {
    (void)names_of(text, end);
    EXPECT_FALSE(end) << text;
  }
  EXPECT_FALSE(parse_page(std::string(100'000, '['), [](Json&&) {}));
}

TEST(KubernetesObjects, ExceptionsPassThrough) {
  EXPECT_THROW((void)parse_page(R"({"items":[{}]})", [](Json&&) { throw std::runtime_error("x"); }),
               std::runtime_error);
}

TEST(KubernetesObjects, TextAt) {
  const Json object = Json::parse_or_throw(R"({"a":{"b":"c","n":1}})");
  EXPECT_EQ(text_at(object, {"a", "b"}), "c");
  EXPECT_EQ(text_at(object, {"a", "n"}), "");
  EXPECT_EQ(text_at(object, {"a", "b", "c"}), "");
  EXPECT_EQ(text_at(object, {"x"}), "");
}

TEST(KubernetesObjects, Namespaces) {
  for (const char* name : {"default", "team-7", "7"}) EXPECT_TRUE(is_namespace(name)) << name;
  for (const std::string& name : {std::string(), std::string(".."), std::string("a/../b"), std::string("A"),
                                  std::string("a_b"), std::string("-a"), std::string("a-"), std::string(64, 'a')})
    EXPECT_FALSE(is_namespace(name)) << name;
}

TEST(KubernetesObjects, Lines) {
  Lines lines(10);
  EXPECT_TRUE(lines.add("ab"));
  EXPECT_EQ(lines.next(), std::nullopt);
  EXPECT_TRUE(lines.add("c\n\nde"));
  EXPECT_EQ(lines.next(), "abc");
  EXPECT_EQ(lines.next(), "");
  EXPECT_EQ(lines.next(), std::nullopt);
  EXPECT_TRUE(lines.add("f\nghi"));
  EXPECT_EQ(lines.next(), "def");
  EXPECT_EQ(lines.next(), std::nullopt);
  EXPECT_FALSE(lines.add("12345678"));
}

}  // namespace
}  // namespace metaflow::kube
