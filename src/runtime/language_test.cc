// A flow as data, with a language made for the test: the graph, its parameters, and where `catch` may store exceptions.
#include "runtime/language.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "runtime/parameters.h"
#include "runtime/testing.h"
#include "store/memory/memory_storage.h"
#include "store/stored_artifact.h"

namespace metaflow::runtime {
namespace {

using detail::ParameterType;
using detail::Transition;
using testing::ElementsAre;
using testing::HasSubstr;

class LanguageTest : public testing::Test {
 protected:
  static std::string refused(ErrorCode code, const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      return error.what();
    }
    ADD_FAILURE() << "no Error was thrown";
    return {};
  }

  detail::FlowDescription flow_{
      .name = "F",
      .doc = "What it is for.",
      .steps = {{.name = "start", .transition = Transition::split, .targets = {1, 2}},
                {.name = "left", .transition = Transition::linear, .targets = {3}},
                {.name = "right", .transition = Transition::linear, .targets = {3}},
                {.name = "join", .transition = Transition::linear, .targets = {4}, .join = true},
                {.name = "end"}},
      .artifacts = {{.name = "caught"},
                    {.name = "constant", .kind = detail::ArtifactKind::constant, .type = "int"},
                    {.name = "n", .kind = detail::ArtifactKind::parameter}}};
  graph::DecoratorTable table_{graph::core_decorators()};
};

TEST_F(LanguageTest, GraphIsMadeFromADescription) {
  const graph::Graph graph(flow_, table_);
  EXPECT_EQ(graph.step(graph.start()).matching_join, 3);
  EXPECT_EQ(graph.type_of(3), "join");
  const base::Json info = graph::graph_info(graph, "f.py");
  EXPECT_EQ(info["doc"].text(), "What it is for.");
  EXPECT_EQ(info["parameters"].dump(), R"([{"name":"n","type":"Parameter"}])");
  EXPECT_EQ(info["constants"].dump(), R"([{"name":"constant","type":"int"}])");
}

TEST_F(LanguageTest, UnsoundGraphIsRejected) {
  flow_.steps[2].targets = {4};
  EXPECT_THAT(refused(ErrorCode::invalid_flow, [&] { graph::Graph(flow_, table_); }),
              HasSubstr("an incorrect number of steps (*left*) lead to it"));
}

// --- parameters

TEST_F(LanguageTest, ParametersAreSortedByArtifactName) {
  TestLanguage language;
  language.options = {{.name = "z", .option = "a"}, {.name = "b", .option = "other-name"}};
  std::vector<std::string> names;
  for (const auto& option : parameter_options(language)) names.push_back(option.name);
  EXPECT_THAT(names, ElementsAre("b", "z"));
}

TEST_F(LanguageTest, InvalidOptionNamesAreRejected) {
  auto message = [&](std::vector<std::string> options) {
    TestLanguage language;
    for (const std::string& option : options) language.options.push_back({.name = option, .option = option});
    return refused(ErrorCode::invalid_flow, [&] { parameter_options(language); });
  };
  EXPECT_THAT(message({"max_workers"}), HasSubstr("'max_workers' is a reserved word"));
  EXPECT_THAT(message({"a b"}), HasSubstr("Parameter name 'a b' is not valid"));
  EXPECT_THAT(message({"-a"}), HasSubstr("Parameter name '-a' is not valid"));
  EXPECT_THAT(message({""}), HasSubstr("is not valid"));
  EXPECT_THAT(message({"alpha", "Alpha"}), HasSubstr("Parameter Alpha is specified twice."));
}

TEST_F(LanguageTest, TextIsParsedByType) {
  auto parsed = [](ParameterType type, const std::string& text, ParameterType item = ParameterType::text) {
    return repr(parse_parameter({.name = "n", .option = "n", .type = type, .item_type = item}, text).root(), 100);
  };
  EXPECT_EQ(parsed(ParameterType::integer, " +7 "), "7");
  EXPECT_EQ(parsed(ParameterType::integer, "18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(parsed(ParameterType::real, "2.5"), "2.5");
  EXPECT_EQ(parsed(ParameterType::boolean, "Yes"), "True");
  EXPECT_EQ(parsed(ParameterType::text, "7"), "'7'");
  EXPECT_EQ(parsed(ParameterType::json, R"({"a": [1]})"), "{'a': [1]}");
  EXPECT_EQ(parsed(ParameterType::list, "1, 2", ParameterType::integer), "[1, 2]");
  EXPECT_EQ(parsed(ParameterType::list, R"(["a,b"])"), "['a,b']");
  EXPECT_THAT(refused(ErrorCode::usage, [&] { parsed(ParameterType::integer, "x"); }),
              HasSubstr("Invalid value for '--n': x is not a valid integer"));
}

TEST_F(LanguageTest, RejectedValueNamesTheOption) {
  const auto check = [](std::string_view, const Value&, const detail::Place&) {
    throw Error(ErrorCode::invalid_value, "it is too large");
  };
  const detail::ParameterDescription parameter{.name = "n", .option = "count", .type = ParameterType::integer};
  EXPECT_THAT(refused(ErrorCode::usage, [&] { check_parameter(parameter, "300", check); }),
              HasSubstr("Invalid value for '--count': it is too large"));
}

TEST_F(LanguageTest, ParametersAreSavedByTheLanguage) {
  const graph::Graph graph(flow_, table_);
  const TestLanguage language;
  store::FlowStore store(std::make_shared<store::MemoryStorage>(), "F");
  const std::vector<detail::ParameterDescription> parameters{
      {.name = "a", .option = "a", .type = ParameterType::integer}, {.name = "b", .option = "b"}};
  const store::TaskData data =
      save_parameters(graph, language, store, parameters, {std::nullopt, std::string("text")}, "f.py");
  EXPECT_EQ(data.find("a"), nullptr);  // this language has no defaults
  ASSERT_NE(data.find("b"), nullptr);
  EXPECT_EQ(data.find("b")->key, "text");
  EXPECT_NE(data.find("_graph_info"), nullptr);
  EXPECT_THAT(data.next, ElementsAre("start"));
  EXPECT_TRUE(std::is_sorted(data.artifacts.begin(), data.artifacts.end(),
                             [](const auto& x, const auto& y) { return x.name < y.name; }));
}

// --- catch

TEST_F(LanguageTest, CatchNeedsAnArtifactThatHoldsExceptions) {
  graph::Graph graph(flow_, table_);
  graph.attach(table_.parse("catch:var=caught"));
  std::vector<Kind> seen;
  const TestLanguage takes_all(
      [&](std::string_view, const Value& value, const detail::Place&) { seen.push_back(value.kind()); });
  EXPECT_NO_THROW(check_catch(graph, takes_all));
  EXPECT_EQ(seen.at(0), Kind::none);  // if the step succeeds

  const TestLanguage takes_none([](std::string_view, const Value& value, const detail::Place&) {
    if (value.kind() == Kind::none) throw Error(ErrorCode::invalid_value, "no");
  });
  EXPECT_THAT(refused(ErrorCode::invalid_flow, [&] { check_catch(graph, takes_none); }),
              HasSubstr("@catch cannot store an exception in 'caught': its type does not allow it"));
}

TEST_F(LanguageTest, CatchCannotWriteToAParameter) {
  graph::Graph graph(flow_, table_);
  graph.attach(table_.parse("catch:var=n"));
  EXPECT_THAT(refused(ErrorCode::invalid_flow, [&] { check_catch(graph, TestLanguage()); }), HasSubstr("in 'n'"));
}

TEST_F(LanguageTest, CatchMayAddAnArtifact) {
  graph::Graph graph(flow_, table_);
  graph.attach(table_.parse("catch:var=another"));
  const TestLanguage takes_nothing(
      [](std::string_view, const Value&, const detail::Place&) { throw Error(ErrorCode::invalid_value, "no"); });
  EXPECT_NO_THROW(check_catch(graph, takes_nothing));
}

}  // namespace
}  // namespace metaflow::runtime
