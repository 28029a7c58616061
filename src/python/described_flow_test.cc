#include "python/described_flow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <metaflow/error.h>

#include "graph/graph.h"

namespace metaflow::python {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const graph::DecoratorTable& decorators() {
  static const graph::DecoratorTable kTable{graph::core_decorators()};
  return kTable;
}

/// A description with these steps, as JSON.
std::string with_steps(const std::string& steps, const std::string& more = "") {
  std::string line =
      R"({"version": 1, "name": "F", "file": "f.py", "command": ["python3", "f.py"], "launcher": "python", "steps": [)" +
      steps + "]" + more + "}";
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line + "\nPICKLEpickle";
}

DescribedFlow read(const std::string& text) { return read_description(base::SharedBytes(text), decorators()); }

std::string error_of(const std::string& text) {
  try {
    const DescribedFlow described = read(text);
    const graph::Graph graph(described.flow, decorators());
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(DescribedFlow, HasStepsParametersAndConstants) {
  const DescribedFlow described = read(with_steps(
      R"({"name": "start", "doc": "Begins.", "line": 4, "transition": "foreach", "targets": ["work"], "variable": "xs"},
         {"name": "work", "transition": "linear", "targets": ["join"], "decorators": [{"name": "retry", "attributes": {"times": 2}}]},
         {"name": "join", "transition": "linear", "targets": ["end"], "join": true},
         {"name": "end", "transition": "none"})",
      R"(, "parameters": [{"name": "n", "option": "N", "type": "real", "required": false, "default": "0.5",
                           "value": {"type": "<class 'float'>", "offset": 0, "size": 6}},
                          {"name": "m", "option": "m", "type": "json", "required": true}],
          "constants": [{"name": "c", "value": {"type": "<class 'str'>", "offset": 6, "size": 6}}])"));
  EXPECT_EQ(described.flow.name, "F");
  EXPECT_THAT(described.command, ElementsAre("python3", "f.py"));
  const auto& steps = described.flow.steps;
  ASSERT_EQ(steps.size(), 4U);
  EXPECT_EQ(steps[0].transition, detail::Transition::foreach);
  EXPECT_EQ(steps[0].variable, "xs");
  EXPECT_EQ(steps[0].line, 4);
  EXPECT_THAT(steps[0].targets, ElementsAre(1));
  EXPECT_TRUE(steps[2].join);
  const graph::Graph graph(described.flow, decorators());
  const auto retry_of_work = graph::find_decorator<retry>(graph.step(1).decorators);
  ASSERT_TRUE(retry_of_work);
  EXPECT_EQ(retry_of_work->times, 2);  // the other attributes have their defaults
  ASSERT_EQ(described.parameters.size(), 2U);
  EXPECT_EQ(described.parameters[0].value->payload, "PICKLE");
  EXPECT_EQ(described.parameters[0].option.type, detail::ParameterType::real);
  EXPECT_FALSE(described.parameters[1].value);
  EXPECT_EQ(described.constants[0].value.payload, "pickle");
  EXPECT_EQ(described.flow.find_artifact("c")->kind, detail::ArtifactKind::constant);
}

/// What Python handles itself goes to the artifact _graph_info.
TEST(DescribedFlow, GraphInfoHasWhatTheEngineDoesNotExecute) {
  const DescribedFlow described = read(with_steps(
      R"({"name": "first", "transition": "linear", "targets": ["last"], "start": true,
          "annotations": "[{\"name\": \"secrets\", \"attributes\": {\"role\": \"r\"}}]"},
         {"name": "last", "transition": "none", "end": true})",
      R"(, "decorators": "[{\"name\": \"schedule\", \"attributes\": {\"daily\": true}}]",
          "parameters": [{"name": "f", "option": "f", "type": "text", "required": false, "class": "IncludeFile",
                          "python": true, "value": {"type": "<class 'str'>", "offset": 0, "size": 6}}],
          "configs": [{"name": "c", "option": "c-d", "help": "", "value": {"type": "<class 'dict'>", "offset": 6, "size": 6}}],
          "constants": [{"name": "k", "class": "str", "value": {"type": "<class 'str'>", "offset": 0, "size": 6}}])"));
  EXPECT_TRUE(described.parameters[0].is_final);
  EXPECT_EQ(described.configs[0].value.payload, "pickle");
  const base::Json info = graph::graph_info(graph::Graph(described.flow, decorators()), "f.py");
  EXPECT_EQ(info["start_step"].text(), "first");
  EXPECT_EQ(info["end_step"].text(), "last");
  EXPECT_EQ(info["decorators"].dump(),
            R"([{"name":"schedule","attributes":{"daily":true},"statically_defined":true,"inserted_by":null}])");
  EXPECT_EQ(info["steps"]["first"]["decorators"].dump(),
            R"([{"name":"secrets","attributes":{"role":"r"},"statically_defined":true,"inserted_by":null}])");
  EXPECT_EQ(info["parameters"].dump(), R"([{"name":"f","type":"IncludeFile"},{"name":"c","type":"Config"}])");
  EXPECT_EQ(info["constants"].dump(), R"([{"name":"k","type":"str"}])");
}

TEST(DescribedFlow, DamagedDescriptionIsRefused) {
  EXPECT_THAT(error_of(""), HasSubstr("The description of the flow is damaged"));
  EXPECT_THAT(error_of("{}"), HasSubstr("'version' is missing"));
  EXPECT_THAT(error_of(R"({"version": 2})"), HasSubstr("version 2 is not supported"));
  EXPECT_THAT(error_of(with_steps(R"({"name": "start", "transition": "jump"})")),
              HasSubstr("'jump' is not a transition"));
  for (const char* annotations :
       {"[{", "{}", "[5]", R"([{\"name\": \"a\"}])", R"([{\"name\": 1, \"attributes\": {}}])"}) {
    EXPECT_THAT(error_of(with_steps(R"({"name": "start", "transition": "none", "annotations": ")" +
                                    std::string(annotations) + "\"}")),
                HasSubstr("The description of the flow is damaged"))
        << annotations;
  }
  for (const char* place : {R"("offset": 13, "size": 1)", R"("offset": 1, "size": 18446744073709551615)"}) {
    EXPECT_THAT(error_of(with_steps(
                    "", std::string(R"(, "constants": [{"name": "c", "value": {"type": "x", )") + place + "}}]")),
                HasSubstr("outside of the description"));
  }
}

TEST(DescribedFlow, FilesAreDescribed) {
  const DescribedFlow described = read(
      with_steps(R"({"name": "start", "transition": "none"})",
                 R"(, "parameters": [{"name": "f", "option": "f", "type": "text", "required": false, "python": true,
                           "file": {"is_text": false, "encoding": "utf-8", "size": 9},
                           "value": {"type": "t", "offset": 0, "size": 6}}])"));
  ASSERT_TRUE(described.parameters[0].file);
  EXPECT_EQ(described.parameters[0].file->get<std::uint64_t>("size"), 9U);
  EXPECT_EQ(described.parameters[0].value->payload, "PICKLE");
}

TEST(DescribedFlow, NumbersOfDecoratorsMayBeTexts) {
  const DescribedFlow described = read(with_steps(
      R"({"name": "start", "transition": "none", "decorators": [
           {"name": "retry", "attributes": {"times": "2", "minutes_between_retries": "0.5"}},
           {"name": "environment", "attributes": {"vars": {"A": "1"}}}]})"));
  const auto& found = described.flow.steps[0].decorators;
  const graph::Decorator retry = graph::from_description(found[0]);
  EXPECT_EQ(retry.attributes["times"].as<int>("times"), 2);
  EXPECT_EQ(retry.attributes["minutes_between_retries"].as<double>("minutes"), 0.5);
  EXPECT_EQ(graph::from_description(found[1]).attributes["vars"]["A"].as<std::string>("A"), "1");
}

TEST(DescribedFlow, DecoratorsAreChecked) {
  const auto with = [](const std::string& decorator) {
    return error_of(with_steps(R"({"name": "start", "transition": "none", "decorators": [)" + decorator + "]}"));
  };
  EXPECT_THAT(with(R"({"name": "retry", "attributes": {"tims": 1}})"),
              HasSubstr("Decorator 'retry' does not support the attribute 'tims'"));
  EXPECT_THAT(with(R"({"name": "conda", "attributes": {}})"), HasSubstr("conda"));
}

/// Every problem of a graph has a sentence that names the steps, and the place in the file.
TEST(GraphProblems, AreDescribedInMetaflowsWords) {
  const auto linear = [](const std::string& name, const std::string& targets, const std::string& more = "") {
    return R"({"name": ")" + name + R"(", "line": 7, "transition": "linear", "targets": [)" + targets + "]" + more +
           "}";
  };
  const std::string end = R"({"name": "end", "transition": "none"})";
  const std::string start = linear("start", R"("end")");
  const auto problem = [](const std::string& steps) { return error_of(with_steps(steps)); };
  EXPECT_EQ(problem(start + "," + end), "no error");
  EXPECT_THAT(problem(linear("a", R"("end")") + "," + end), HasSubstr("exactly one start step"));
  EXPECT_THAT(problem(linear("start", R"("a")") + R"(,{"name": "a", "transition": "none"})"),
              HasSubstr("exactly one end step"));
  EXPECT_THAT(problem(linear("start", R"("nope")") + "," + end),
              HasSubstr("Validity checker found an issue in file f.py on line 7:\nStep *start* specifies a self.next() "
                        "transition to an unknown step, *nope*."));
  EXPECT_THAT(problem(start + "," + linear("lonely", R"("end")") + "," + end),
              HasSubstr("Step *lonely* is unreachable from the entry step *start*."));
  EXPECT_THAT(problem(R"({"name": "start", "transition": "none"},)" + end),
              HasSubstr("Step *start* is missing a self.next() transition"));
  EXPECT_THAT(
      problem(linear("start", R"("a")") + "," + linear("a", R"("b")") + "," + linear("b", R"("a")") + "," + end),
      HasSubstr("There is a loop in your flow"));
  EXPECT_THAT(problem(linear("start", R"("j")") + "," + linear("j", R"("end")", R"(, "join": true)") + "," + end),
              HasSubstr("Step *j* seems like a join step"));
  EXPECT_THAT(problem(R"({"name": "start", "transition": "split", "targets": ["a", "b"]},)" + linear("a", R"("end")") +
                      "," + linear("b", R"("end")") + "," + end),
              HasSubstr("was reached before a split started at step(s) *start* were joined"));
  EXPECT_THAT(
      problem(R"({"name": "start", "transition": "choose", "targets": ["end"], "cases": ["x"], "variable": "v"},)" +
              end),
      HasSubstr("Step *start* is a switch split but defines 1 transitions"));
  EXPECT_THAT(problem(R"({"name": "start", "transition": "foreach", "targets": ["j"], "variable": "v"},)" +
                      linear("j", R"("end")", R"(, "join": true)") + "," + end),
              HasSubstr("Step *start* is a foreach split that has no children"));
}

}  // namespace
}  // namespace metaflow::python
