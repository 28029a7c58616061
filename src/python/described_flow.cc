#include "python/described_flow.h"

#include <algorithm>
#include <array>
#include <utility>

#include <metaflow/detail/pickler.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "graph/problems.h"
#include "value/json_value.h"

namespace metaflow::python {

using base::Json;
using detail::ParameterType;
using detail::Transition;

namespace {

constexpr int kVersion = 1;

template <class T, std::size_t N>
T named(const std::array<std::pair<std::string_view, T>, N>& names, const std::string& name, std::string_view what) {
  for (const auto& [known, value] : names) {
    if (known == name) return value;
  }
  throw base::JsonMismatch(fmt::format("'{}' is not a {}", name, what));
}

constexpr std::array kTransitions{std::pair<std::string_view, Transition>("none", Transition::none),
                                  std::pair<std::string_view, Transition>("linear", Transition::linear),
                                  std::pair<std::string_view, Transition>("split", Transition::split),
                                  std::pair<std::string_view, Transition>("foreach", Transition::foreach),
                                  std::pair<std::string_view, Transition>("choose", Transition::choose)};

constexpr std::array kTypes{std::pair<std::string_view, ParameterType>("text", ParameterType::text),
                            std::pair<std::string_view, ParameterType>("integer", ParameterType::integer),
                            std::pair<std::string_view, ParameterType>("real", ParameterType::real),
                            std::pair<std::string_view, ParameterType>("boolean", ParameterType::boolean),
                            std::pair<std::string_view, ParameterType>("json", ParameterType::json)};

class Reader {
 public:
  Reader(DescribedFlow& into, const graph::DecoratorTable& decorators) : into_(into), decorators_(decorators) {}

  void read() {
    const auto whole = into_.text.text();
    const std::size_t end = std::min(whole.find('\n'), whole.size());
    payloads_ = whole.substr(std::min(end + 1, whole.size()));
    const Json json = Json::parse_or_throw(whole.substr(0, end));
    if (json.get<int>("version") != kVersion)
      throw base::JsonMismatch(fmt::format("version {} is not supported", json.get<int>("version")));
    into_.flow.name = json.get<std::string>("name");
    into_.flow.doc = json.get("doc", "");
    into_.flow.project = json.get("project", "");
    into_.flow.file = json.get("file", "");
    into_.flow.python_version = json.get("python_version", "");
    into_.flow.decorators = annotations(json, "decorators");
    into_.launcher = json.get("launcher", "");
    into_.command = json.at("command").as<std::vector<std::string>>("command");
    if (const Json* elsewhere = json.find("elsewhere")) {
      into_.elsewhere = {.command = elsewhere->at("command").as<std::vector<std::string>>("command"),
                         .directory = elsewhere->get<std::string>("directory"),
                         .script = elsewhere->get<std::string>("script"),
                         .package = elsewhere->get<std::string>("package"),
                         .library = elsewhere->get<std::string>("library"),
                         .image = elsewhere->get<std::string>("image"),
                         .configs = {}};
      if (const Json* configs = elsewhere->find("configs")) into_.elsewhere.configs = pickled(*configs);
    }
    read_parameters(json);
    read_steps(json);
  }

 private:
  /// The text of a member that is a list of decorators as JSON; empty if it is missing.
  static std::string annotations(const Json& json, const char* name) {
    std::string text = json.get(name, "");
    if (text.empty()) return text;
    const Json list = Json::parse_or_throw(text);
    if (!list.is_list()) throw base::JsonMismatch(fmt::format("'{}' is not a list", name));
    for (const Json& decorator : list.items()) {
      (void)decorator.get<std::string>("name");
      if (!decorator.at("attributes").is_object()) throw base::JsonMismatch("'attributes' is not an object");
    }
    return text;
  }

  Pickled pickled(const Json& json) const {
    const auto offset = json.get<std::uint64_t>("offset");
    const auto size = json.get<std::uint64_t>("size");
    if (offset > payloads_.size() || size > payloads_.size() - offset)
      throw base::JsonMismatch("a value lies outside of the description");
    return {json.get<std::string>("type"), payloads_.substr(offset, size)};
  }

  void read_parameters(const Json& json) {
    for (const Json& each : json.get_items("parameters")) {
      DescribedParameter parameter;
      parameter.option = {.name = each.get<std::string>("name"),
                          .option = each.get<std::string>("option"),
                          .help = each.get("help", ""),
                          .separator = each.get("separator", ""),
                          .type = named(kTypes, each.get<std::string>("type"), "type of a parameter"),
                          .required = each.get<bool>("required"),
                          .default_text = each.get("default", "")};
      if (const Json* value = each.find("value")) parameter.value = pickled(*value);
      parameter.is_final = each.get("python", false);
      if (const Json* file = each.find("file")) parameter.file = *file;
      into_.flow.artifacts.push_back(
          {.name = parameter.option.name, .kind = detail::ArtifactKind::parameter, .type = each.get("class", "")});
      into_.parameters.push_back(std::move(parameter));
    }
    for (const Json& each : json.get_items("configs")) {
      into_.configs.push_back({each.get<std::string>("name"), each.get<std::string>("option"),
                               each.get<std::string>("help"), pickled(each.at("value"))});
      into_.flow.artifacts.push_back(
          {.name = into_.configs.back().name, .kind = detail::ArtifactKind::parameter, .type = "Config"});
    }
    for (const Json& each : json.get_items("constants")) {
      DescribedConstant constant{each.get<std::string>("name"), pickled(each.at("value"))};
      into_.flow.artifacts.push_back(
          {.name = constant.name, .kind = detail::ArtifactKind::constant, .type = each.get("class", "")});
      into_.constants.push_back(std::move(constant));
    }
  }

  void read_steps(const Json& json) {
    for (const Json& each : json.get_items("steps")) {
      detail::StepDescription step{.name = each.get<std::string>("name"),
                                   .doc = each.get("doc", ""),
                                   .transition = named(kTransitions, each.get<std::string>("transition"), "transition"),
                                   .cases = each.get("cases", std::vector<std::string>()),
                                   .variable = each.get("variable", ""),
                                   .join = each.get<bool>("join", false),
                                   .line = each.get<int>("line", 0),
                                   .is_start = each.get("start", false),
                                   .is_end = each.get("end", false),
                                   .annotations = annotations(each, "annotations")};
      for (const Json& decorator : each.get_items("decorators")) step.decorators.push_back(read_decorator(decorator));
      into_.flow.steps.push_back(std::move(step));
    }
    const auto& steps = into_.flow.steps;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      for (const std::string& target : json.at("steps")[i].get("targets", std::vector<std::string>())) {
        const auto* found = into_.flow.find_step(target);
        if (found == nullptr) throw graph::unknown_target(into_.flow, steps[i], target);
        into_.flow.steps[i].targets.push_back(static_cast<int>(found - steps.data()));
      }
    }
  }

  /// The attributes of the flow, and the defaults of the others.
  detail::Decorator read_decorator(const Json& json) const {
    graph::Decorator decorator{.name = json.get<std::string>("name")};
    const graph::DecoratorKind& kind = decorators_.kind(decorator.name);
    decorator.attributes = kind.defaults();
    for (const auto& [name, value] : json.at("attributes").members()) {
      Json* attribute = decorator.attributes.find(name);
      if (attribute == nullptr)
        throw Error(ErrorCode::unknown_attribute,
                    fmt::format("Decorator '{}' does not support the attribute '{}'", decorator.name, name));
      // A number may be a text, as in Metaflow: times="3". Where a text is expected, normalise() makes it one again.
      const auto number = value.is_text() ? Json::parse(value.as<std::string>(name)) : std::nullopt;
      *attribute = number && number->is_number() ? *number : value;
    }
    if (kind.normalise != nullptr) kind.normalise(decorator.attributes);
    detail::Pickler pickler;
    value::encode_json(pickler, decorator.attributes);
    pickler.finish();
    std::string attributes;
    for (const auto& part : pickler.parts()) attributes.append(reinterpret_cast<const char*>(part.data()), part.size());
    return {decorator.name, std::move(attributes)};
  }

  DescribedFlow& into_;
  const graph::DecoratorTable& decorators_;
  std::string_view payloads_;
};

}  // namespace

DescribedFlow read_description(base::SharedBytes text, const graph::DecoratorTable& decorators) {
  DescribedFlow flow;
  flow.text = std::move(text);
  try {
    Reader(flow, decorators).read();
  } catch (const base::JsonMismatch& mismatch) {
    throw Error(ErrorCode::invalid_flow, fmt::format("The description of the flow is damaged: {}", mismatch.what()));
  }
  return flow;
}

std::string description_for_package(const DescribedFlow& flow) {
  return Json{{"version", kVersion},           {"name", flow.flow.name},
              {"file", flow.elsewhere.script}, {"command", flow.elsewhere.command},
              {"parameters", Json::list()},    {"constants", Json::list()},
              {"steps", Json::list()}}
             .dump() +
         "\n";
}

}  // namespace metaflow::python
