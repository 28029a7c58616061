#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace metaflow::base {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string mismatch_of(const std::function<void()>& reading) {
  try {
    reading();
  } catch (const JsonMismatch& error) {
    return error.what();
  }
  return {};
}

TEST(Json, ListsOfPairsAreObjects) {
  EXPECT_EQ((Json{{"a", 1}, {"b", {1, 2}}}).dump(), R"({"a":1,"b":[1,2]})");
  EXPECT_EQ((Json{{"a", 1}, {"b", 2, 3}}).dump(), R"([["a",1],["b",2,3]])");
  EXPECT_EQ(Json::list({{"a", 1}}).dump(), R"([["a",1]])");
  EXPECT_EQ(Json::list({{{"a", 1}}}).dump(), R"([{"a":1}])");
  EXPECT_EQ(Json::object().dump(), "{}");
  EXPECT_EQ(Json::list().dump(), "[]");
}

TEST(Json, OnlyOpenBracketsCountAsDepth) {
  auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_TRUE(Json::parse(nested(100)));
  EXPECT_FALSE(Json::parse(nested(101)));
  EXPECT_FALSE(Json::parse(R"({"a\"": )" + nested(100) + "}"));
  EXPECT_TRUE(Json::parse("[\"" + std::string(1000, '[') + "\\\"[\"]")) << "brackets in a text do not count";
  std::string wide;
  for (int i = 0; i < 1000; ++i) wide += "[],{},";
  EXPECT_TRUE(Json::parse("[" + wide + "0]"));
}

TEST(Json, MembersKeepTheirOrderAndTheLastDuplicateCounts) {
  Json json = *Json::parse(R"({"z":1,"a":2,"z":3})");
  EXPECT_EQ(json.dump(), R"({"z":3,"a":2})");
  json.set("b", nullptr);
  json.set("a", "x");
  EXPECT_EQ(json.dump(), R"({"z":3,"a":"x","b":null})");
  EXPECT_EQ(json.sorted().dump(), R"({"a":"x","b":null,"z":3})");
}

TEST(Json, LargeObjectsAreIndexedWhileParsed) {
  std::string text = "{";
  for (int i = 0; i < 100; ++i) text += "\"m" + std::to_string(i % 50) + "\":" + std::to_string(i) + ",";
  text.back() = '}';
  const Json json = *Json::parse(text);
  EXPECT_EQ(json.size(), 50U);
  EXPECT_EQ(json["m7"], 57);
  EXPECT_EQ(json.members()[0].name, "m0");
}

TEST(Json, NumbersRoundTrip) {
  for (const char* text : {"0", "-1", "18446744073709551615", "-9223372036854775808", "1.5", "1e+300", "0.1", "1.0"})
    EXPECT_EQ(Json::parse(text)->dump(), text);
  EXPECT_EQ(Json(std::nan("")).dump(), "null");
  EXPECT_EQ(*Json::parse("1"), Json(1.0));
  EXPECT_EQ(Json::parse("-1")->natural(), std::nullopt);
  EXPECT_EQ(Json::parse("18446744073709551615")->integer(), std::nullopt);
  EXPECT_EQ(Json::parse("1.0")->integer(), std::nullopt);
}

TEST(Json, TextsAreQuoted) {
  EXPECT_EQ(Json("a\"\\\n\t\b\f\r\x01z").dump(), R"("a\"\\\n\t\b\f\r\u0001z")");
  EXPECT_EQ(Json("\xffz").dump(), "\"\xEF\xBF\xBDz\"") << "invalid UTF-8";
  EXPECT_EQ(*Json::parse(R"("\u00e4\ud83d\ude00")"), "\xc3\xa4\xf0\x9f\x98\x80");
}

TEST(Json, Indentation) {
  EXPECT_EQ((Json{{"a", Json::list({1, 2})}, {"b", Json::object()}}).dump_indented(2),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
}

TEST(Json, InvalidJsonIsRejected) {
  for (const char* text : {"", "{", "[1,]", "nul", "{\"a\":1} x", "'a'", "\"\xff\"", "01"})
    EXPECT_FALSE(Json::parse(text)) << text;
  EXPECT_FALSE(Json::parse_object("[]"));
  EXPECT_THAT(mismatch_of([] { (void)Json::parse_or_throw("{\"a\":\n}"); }),
              HasSubstr("parse error at line 2, column 1: syntax error"));
}

TEST(Json, DeepValuesAreRejected) {
  EXPECT_TRUE(Json::parse(std::string(100, '[') + std::string(100, ']')));
  EXPECT_FALSE(Json::parse(std::string(101, '[') + std::string(101, ']')));
  EXPECT_FALSE(Json::parse(R"({"a": )" + std::string(100, '[') + std::string(100, ']') + "}"));
  // Only open brackets count as levels, not the number of brackets in a text.
  EXPECT_TRUE(Json::parse("[\"" + std::string(1000, '[') + R"(\"[", "{"])"));
  std::string wide;
  for (int i = 0; i < 1000; ++i) wide += "[],{},";
  EXPECT_TRUE(Json::parse("[" + wide + "0]"));
  EXPECT_EQ(mismatch_of([] { (void)Json::parse_or_throw(std::string(100'000, '[')); }), "it is nested too deeply");
}

TEST(Json, MissingValuesAreNull) {
  const Json json{{"a", {{"b", Json::list({1, "x", true})}}}};
  EXPECT_TRUE(json["z"]["y"].is_null());
  EXPECT_TRUE(json["a"]["b"]["c"].is_null());
  EXPECT_TRUE(json["a"]["b"][3].is_null());
  EXPECT_EQ(text_at(json, {"a", "b"}), "");
  EXPECT_EQ(json["a"]["b"][1].text(), "x");
  EXPECT_EQ(json["a"]["b"][2].boolean(), true);
  EXPECT_THAT(json["a"]["b"].texts(), ElementsAre("x"));
  EXPECT_EQ(Json(3).items().size() + Json("x").members().size(), 0U);
}

TEST(Json, RequiredValues) {
  const Json json = *Json::parse(R"({"n":300,"m":-1,"t":"x","r":1.5,"l":["a"],"f":false})");
  EXPECT_EQ(json.get<int>("n"), 300);
  EXPECT_EQ(json.get("z", 7), 7);
  EXPECT_EQ(json.get("t", ""), "x");
  EXPECT_EQ(json.get<double>("n"), 300.0);
  EXPECT_THAT(json.get<std::vector<std::string>>("l"), ElementsAre("a"));
  EXPECT_EQ(mismatch_of([&] { (void)json.get<int>("z"); }), "'z' is missing");
  EXPECT_EQ(mismatch_of([&] { (void)json.get<std::uint8_t>("n"); }), "'n' is out of range");
  EXPECT_EQ(mismatch_of([&] { (void)json.get<std::size_t>("m"); }), "'m' is out of range");
  EXPECT_EQ(mismatch_of([&] { (void)json.get<int>("r"); }), "'r' is not an integer");
  EXPECT_EQ(mismatch_of([&] { (void)json.get("n", ""); }), "'n' is not a text");
  EXPECT_EQ(mismatch_of([&] { (void)json.get<bool>("n"); }), "'n' is neither true nor false");
  EXPECT_EQ(mismatch_of([&] { (void)json.get_items("t"); }), "'t' is not a list");
  EXPECT_TRUE(json.get_items("z").empty());
}

TEST(Json, ItemsArePassedOnOneByOne) {
  std::string taken;
  const auto rest = Json::parse_object(R"({"items":[{"a":[{}]},2,{"b":1}],"other":[{"c":1}]})",
                                       [&](std::string_view list, Json& item) {
                                         if (list != "items" || !item.is_object()) return false;
                                         taken += item.dump();
                                         return true;
                                       });
  EXPECT_EQ(taken, R"({"a":[{}]}{"b":1})");
  EXPECT_EQ(rest->dump(), R"({"items":[2],"other":[{"c":1}]})");
  EXPECT_THROW((void)Json::parse_object(R"({"items":[{}]})",
                                        [](std::string_view, Json&) -> bool { throw std::runtime_error("x"); }),
               std::runtime_error);
}

TEST(Json, CopiesAreIndependent) {
  Json one{{"a", Json::list({1})}};
  Json other = one;
  other.find("a")->push_back(2);
  EXPECT_EQ(one.dump(), R"({"a":[1]})");
  one = other["a"];
  EXPECT_EQ(one.dump(), "[1,2]");
  one = one[1];
  EXPECT_EQ(one.dump(), "2");
}

}  // namespace
}  // namespace metaflow::base
