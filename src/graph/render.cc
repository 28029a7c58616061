// Output formats of the graph.

#include <algorithm>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "graph/graph.h"

namespace metaflow::graph {

using detail::Transition;

namespace {

std::vector<std::string> next_names(const Graph& graph, const Step& step) {
  std::vector<std::string> names;
  for (int next : step.next) {
    const std::string& name = graph.step(next).name;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

std::string indented(const std::string& text) {
  std::string result;
  for (const std::string& line : base::split(text, '\n')) result += "    " + line + "\n";
  return result;
}

Json decorator_json(const std::string& name, const Json& attributes, bool statically_defined) {
  return {
      {"name", name}, {"attributes", attributes}, {"statically_defined", statically_defined}, {"inserted_by", nullptr}};
}

/// Adds decorators that the engine does not execute. `annotations`: a JSON list, or empty.
void add_annotations(const std::string& annotations, Json& list) {
  if (annotations.empty()) return;
  const Json parsed = Json::parse_or_throw(annotations);
  for (const Json& each : parsed.items()) list.push_back(decorator_json(each["name"].text(), each["attributes"], true));
}

Json decorators_json(const Graph& graph, int index) {
  Json list = Json::list();
  const Step& step = graph.step(index);
  for (const Decorator& decorator : step.decorators)
    list.push_back(decorator_json(decorator.name, public_attributes(decorator), decorator.statically_defined));
  add_annotations(graph.flow().steps[static_cast<std::size_t>(index)].annotations, list);
  return list;
}

Json step_json(const Graph& graph, int index) {
  const Step& step = graph.step(index);
  Json json{{"name", step.name},
            {"type", graph.type_of(index)},
            {"line", 0},
            {"source_file", ""},
            {"doc", step.doc},
            {"decorators", decorators_json(graph, index)},
            {"next", next_names(graph, step)},
            {"node_info", Json::object()}};
  if (step.transition == Transition::foreach) json.set("foreach_artifact", step.variable);
  if (step.transition == Transition::choose) {
    json.set("condition", step.variable);
    Json cases = Json::object();
    for (std::size_t i = 0; i < step.cases.size(); ++i) cases.set(step.cases[i], graph.step(step.next[i]).name);
    json.set("switch_cases", cases);
  }
  if (step.matching_join >= 0) json.set("matching_join", graph.step(step.matching_join).name);
  return json;
}

/// The steps from `from` up to, excluding, `until`, with the branches of splits as lists: Metaflow's graph_structure.
Json block(const Graph& graph, int from, int until) {
  Json list = Json::list();
  int current = from;
  while (current != until) {
    const Step& step = graph.step(current);
    list.push_back(step.name);
    if (step.transition == Transition::none) break;
    if (step.transition == Transition::linear) {
      current = step.next[0];
      continue;
    }
    const bool choice = step.transition == Transition::choose;
    const int end = choice ? until : step.matching_join;
    Json branches = Json::list();
    for (int next : step.next) {
      if (next != current) branches.push_back(block(graph, next, end));
    }
    list.push_back(branches);
    current = end;
  }
  return list;
}

Json structure(const Graph& graph) {
  Json list = graph.start() == graph.end() ? Json::list() : block(graph, graph.start(), graph.end());
  list.push_back(graph.step(graph.end()).name);
  return list;
}

Json steps_json(const Graph& graph) {
  Json steps = Json::object();
  for (int index : graph.order()) steps.set(graph.step(index).name, step_json(graph, index));
  return steps;
}

}  // namespace

std::vector<std::string> to_text(const Graph& graph) {
  std::vector<std::string> steps;
  for (int index : graph.order()) {
    const Step& step = graph.step(index);
    std::string text;
    for (const Decorator& decorator : step.decorators) text += "@" + decorator.name + "\n";
    text += "Step " + step.name + "\n";
    text += indented(step.doc.empty() ? "?" : step.doc);
    if (step.transition != Transition::none) text += "    => " + base::join(next_names(graph, step), ", ") + "\n";
    steps.push_back(std::move(text));
  }
  return steps;
}

std::string to_dot(const Graph& graph) {
  std::string nodes;
  std::string edges;
  for (int index : graph.order()) {
    const Step& step = graph.step(index);
    if (step.transition == Transition::choose) {
      nodes += fmt::format(
          "\"{0}\"[ label = <<b>{0}</b><br/><font point-size=\"9\">switch: {1}</font>>   fontname = \"Helvetica\"   "
          "shape = \"hexagon\"   style = "
          "\"filled\" fillcolor = \"lightgreen\" ];\n",
          step.name, step.variable);
      for (std::size_t i = 0; i < step.next.size(); ++i) {
        edges += fmt::format("{} -> {} [label=\"{}\" color=\"blue\" fontcolor=\"blue\"];\n", step.name,
                             graph.step(step.next[i]).name, step.cases[i]);
      }
      continue;
    }
    std::string_view type = step.join ? "join" : graph.type_of(index);
    if (type == "split-static") type = "split";
    if (type == "split-foreach") type = "foreach";
    nodes += fmt::format(
        "\"{0}\"[ label = <<b>{0}</b> | <font point-size=\"10\">{1}</font>>   fontname = \"Helvetica\"   shape = "
        "\"record\" ];\n",
        step.name, type);
    for (const std::string& next : next_names(graph, step)) edges += fmt::format("{} -> {};\n", step.name, next);
  }
  return fmt::format("digraph {} {{\n{}{}}}\n", graph.flow().name, nodes, edges);
}

Json to_json(const Graph& graph) { return {{"graph", steps_json(graph)}, {"graph_structure", structure(graph)}}; }

Json graph_info(const Graph& graph, const std::string& file) {
  Json parameters = Json::list();
  Json constants = Json::list();
  for (const auto& artifact : graph.flow().artifacts) {
    if (artifact.kind == detail::ArtifactKind::parameter)
      parameters.push_back({{"name", artifact.name}, {"type", artifact.type.empty() ? "Parameter" : artifact.type}});
    if (artifact.kind == detail::ArtifactKind::constant)
      constants.push_back({{"name", artifact.name}, {"type", artifact.type}});
  }
  Json decorators = Json::list();
  add_annotations(graph.flow().decorators, decorators);
  return {{"file", file},
          {"start_step", graph.step(graph.start()).name},
          {"end_step", graph.step(graph.end()).name},
          {"parameters", parameters},
          {"constants", constants},
          {"steps", steps_json(graph)},
          {"graph_structure", structure(graph)},
          {"doc", graph.flow().doc},
          {"decorators", decorators},
          {"extensions", Json::object()}};
}

}  // namespace metaflow::graph
