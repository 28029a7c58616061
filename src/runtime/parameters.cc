#include "runtime/parameters.h"

#include <algorithm>
#include <charconv>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "value/json_value.h"
#include "value/unpickler.h"

namespace metaflow::runtime {

using base::Json;
using detail::MemberKind;
using detail::ParameterType;

namespace {

std::string_view type_word(ParameterType type) {
  switch (type) {
    case ParameterType::integer: return "integer";
    case ParameterType::real: return "floating point value";
    case ParameterType::boolean: return "boolean";
    case ParameterType::json: return "JSON object";
    case ParameterType::text:
    case ParameterType::list: break;
  }
  return "text";
}

[[noreturn]] void not_valid(const std::string& option, const std::string& text, std::string_view word) {
  throw Error(ErrorCode::usage, fmt::format("Invalid value for '--{}': {} is not a valid {}", option, text, word));
}

Json scalar(const ParameterOption& parameter, ParameterType type, const std::string& text) {
  switch (type) {
    case ParameterType::integer: {
      const std::string_view digits = base::trim(text);
      std::int64_t number = 0;
      auto parsed =
          std::from_chars(digits.data() + (digits.starts_with('+') ? 1 : 0), digits.data() + digits.size(), number);
      if (parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size()) return number;
      std::uint64_t positive = 0;
      parsed = std::from_chars(digits.data(), digits.data() + digits.size(), positive);
      if (parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size()) return positive;
      not_valid(parameter.option, text, type_word(type));
    }
    case ParameterType::real: {
      const std::string_view digits = base::trim(text);
      double number = 0;
      const auto parsed =
          std::from_chars(digits.data() + (digits.starts_with('+') ? 1 : 0), digits.data() + digits.size(), number);
      if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size())
        not_valid(parameter.option, text, type_word(type));
      return number;
    }
    case ParameterType::boolean: {
      const std::string word = base::lower(base::trim(text));
      for (std::string_view yes : {"true", "t", "1", "yes", "y", "on"}) {
        if (word == yes) return true;
      }
      for (std::string_view no : {"false", "f", "0", "no", "n", "off"}) {
        if (word == no) return false;
      }
      not_valid(parameter.option, text, type_word(type));
    }
    case ParameterType::json: {
      auto json = Json::parse(text);
      if (!json) not_valid(parameter.option, text, type_word(type));
      return std::move(*json);
    }
    case ParameterType::text:
    case ParameterType::list: break;
  }
  if (base::find_invalid_utf8(text) != std::string::npos) {
    throw Error(ErrorCode::usage, fmt::format("Invalid value for '--{}': the text is not UTF-8", parameter.option));
  }
  return text;
}

Document parse_parameter(const ParameterOption& parameter, const std::string& text) {
  if (parameter.type != ParameterType::list) return value::document_of(scalar(parameter, parameter.type, text));
  const std::string_view trimmed = base::trim(text);
  if (trimmed.starts_with('[')) {
    if (const auto json = Json::parse(trimmed)) return value::document_of(*json);
  }
  Json list = Json::list();
  if (!trimmed.empty()) {
    const char separator = parameter.separator.empty() ? ',' : parameter.separator[0];
    for (const std::string& part : base::split(text, separator))
      list.push_back(scalar(parameter, parameter.item_type, std::string(base::trim(part))));
  }
  return value::document_of(list);
}

std::string describe_default(const detail::Member& member, const void* address) {
  detail::Pickler pickler;
  member.ops->encode(address, pickler);
  pickler.finish();
  const Document document = value::read_back(pickler);
  const Value& root = document.root();
  if (root.is_none()) return {};
  if (root.kind() == Kind::list || root.kind() == Kind::dict) return to_json(root);
  return text_of(root);
}

}  // namespace

std::vector<ParameterOption> parameter_options(const detail::FlowDescription& flow) {
  const FlowObject object(flow);
  std::vector<ParameterOption> options;
  for (std::size_t m = 0; m < flow.members.size(); ++m) {
    const auto& member = flow.members[m];
    if (member.ops->kind != MemberKind::parameter) continue;
    const auto& ops = *member.ops->parameter;
    const auto& base = ops.base(object.member(m));
    ParameterOption option;
    option.member = m;
    option.option = base.name.empty() ? std::string(member.name) : base.name;
    option.help = base.help;
    option.separator = base.separator;
    option.type = ops.type;
    option.item_type = ops.item_type;
    option.required = base.required;
    option.has_default = !base.required;
    if (option.has_default) option.default_text = describe_default(member, object.member(m));
    const bool plain = std::all_of(option.option.begin(), option.option.end(),
                                   [](char c) { return detail::is_identifier_char(c) || c == '-'; });
    if (!plain || option.option.empty() || option.option[0] == '-') {
      throw Error(ErrorCode::invalid_flow,
                  fmt::format("Parameter name '{}' is not valid: letters, digits, '_' and '-' only.", option.option));
    }
    if (detail::reserved_option_name(option.option)) {
      throw Error(ErrorCode::invalid_flow,
                  fmt::format("Parameter name '{}' is a reserved word. Please use a different name for your parameter.",
                              option.option));
    }
    for (const ParameterOption& other : options) {
      if (base::lower(other.option) == base::lower(option.option)) {
        throw Error(ErrorCode::invalid_flow,
                    fmt::format("Parameter {} is specified twice. Note that parameter names are case-insensitive.",
                                option.option));
      }
    }
    options.push_back(std::move(option));
  }
  std::sort(options.begin(), options.end(),
            [&](const auto& a, const auto& b) { return flow.members[a.member].name < flow.members[b.member].name; });
  return options;
}

void set_parameter(const FlowObject& flow, const ParameterOption& parameter, const std::string& text) {
  const Document document = parse_parameter(parameter, text);
  try {
    flow.description().members[parameter.member].ops->decode(flow.member(parameter.member), document.root(),
                                                             detail::Place{});
  } catch (const Error& error) {
    throw Error(ErrorCode::usage, fmt::format("Invalid value for '--{}': {}", parameter.option, error.message()));
  }
}

void replace_graph_info(store::TaskData& data, const graph::Graph& graph, store::FlowStore& store,
                        const std::string& program) {
  std::erase_if(data.artifacts, [](const auto& artifact) { return artifact.name == "_graph_info"; });
  data.artifacts.push_back(save_value(
      store, "_graph_info", [&](detail::Pickler& out) { value::encode_json(out, graph::graph_info(graph, program)); }));
  std::sort(data.artifacts.begin(), data.artifacts.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

store::TaskData save_parameters(const graph::Graph& graph, store::FlowStore& store,
                                const std::vector<ParameterOption>& parameters,
                                const std::vector<std::optional<std::string>>& given, const std::string& program) {
  const auto& flow = graph.flow();
  const FlowObject object(flow);
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (const auto& text = given[p]) set_parameter(object, parameters[p], *text);
  }
  store::TaskData data;
  for (std::size_t m = 0; m < flow.members.size(); ++m) {
    const auto kind = flow.members[m].ops->kind;
    if (kind == MemberKind::parameter || kind == MemberKind::constant)
      data.artifacts.push_back(save_member(flow.members[m], object.member(m), store, {}));
  }
  auto add = [&](const char* name, auto encode) { data.artifacts.push_back(save_value(store, name, encode)); };
  add("name", [&](detail::Pickler& out) { out.text(flow.name); });
  replace_graph_info(data, graph, store, program);
  add("_foreach_stack", [](detail::Pickler& out) {
    out.begin_list();
    out.end();
  });
  add("_task_ok", [](detail::Pickler& out) { out.boolean(true); });
  add("_success", [](detail::Pickler& out) { out.boolean(true); });
  add("_transition", [](detail::Pickler& out) { out.none(); });
  data.next = {graph.step(graph.start()).name};
  std::sort(data.artifacts.begin(), data.artifacts.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return data;
}

}  // namespace metaflow::runtime
