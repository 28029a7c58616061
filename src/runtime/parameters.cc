#include "runtime/parameters.h"

#include <algorithm>
#include <charconv>

#include <metaflow/error.h>
#include <metaflow/parameter.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "store/stored_artifact.h"
#include "value/json_value.h"

namespace metaflow::runtime {

using base::Json;
using detail::ParameterDescription;
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

/// `why`: empty: no further explanation.
[[noreturn]] void not_valid(const std::string& option, const std::string& text, std::string_view word,
                            std::string_view why = {}) {
  throw Error(ErrorCode::usage, fmt::format("Invalid value for '--{}': {} is not a valid {}{}{}", option,
                                            base::shown_value(text), word, why.empty() ? "" : ": ", why));
}

Json scalar(const ParameterDescription& parameter, ParameterType type, const std::string& text) {
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
      try {
        return Json::parse_or_throw(text);
      } catch (const base::JsonMismatch& mismatch) {
        not_valid(parameter.option, text, type_word(type), mismatch.what());
      }
    }
    case ParameterType::text:
    case ParameterType::list: break;
  }
  if (base::find_invalid_utf8(text) != std::string::npos) {
    throw Error(ErrorCode::usage, fmt::format("Invalid value for '--{}': the text is not UTF-8", parameter.option));
  }
  return text;
}

}  // namespace

std::vector<ParameterDescription> parameter_options(const Language& language) {
  std::vector<ParameterDescription> options = language.parameters();
  for (std::size_t p = 0; p < options.size(); ++p) {
    const std::string& option = options[p].option;
    const bool plain =
        std::all_of(option.begin(), option.end(), [](char c) { return detail::is_identifier_char(c) || c == '-'; });
    if (!plain || option.empty() || option[0] == '-') {
      throw Error(ErrorCode::invalid_flow,
                  fmt::format("Parameter name '{}' is not valid: letters, digits, '_' and '-' only.", option));
    }
    if (detail::reserved_option_name(option)) {
      throw Error(ErrorCode::invalid_flow,
                  fmt::format("Parameter name '{}' is a reserved word. Please use a different name for your parameter.",
                              option));
    }
    for (std::size_t other = 0; other < p; ++other) {
      if (base::lower(options[other].option) == base::lower(option)) {
        throw Error(
            ErrorCode::invalid_flow,
            fmt::format("Parameter {} is specified twice. Note that parameter names are case-insensitive.", option));
      }
    }
  }
  std::sort(options.begin(), options.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return options;
}

Document parse_parameter(const ParameterDescription& parameter, const std::string& text) {
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

void check_parameter(const ParameterDescription& parameter, const std::string& text,
                     const Language::ValueCheck& check) {
  const Document document = parse_parameter(parameter, text);
  if (!check) return;
  try {
    check(parameter.name, document.root(), detail::Place{});
  } catch (const Error& error) {
    throw Error(ErrorCode::usage, fmt::format("Invalid value for '--{}': {}", parameter.option, error.message()));
  }
}

void replace_graph_info(store::TaskData& data, const graph::Graph& graph, store::FlowStore& store,
                        const std::string& program) {
  std::erase_if(data.artifacts, [](const auto& artifact) { return artifact.name == "_graph_info"; });
  data.artifacts.push_back(store::save_value(
      store, "_graph_info", [&](detail::Pickler& out) { value::encode_json(out, graph::graph_info(graph, program)); }));
  std::sort(data.artifacts.begin(), data.artifacts.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

store::TaskData save_parameters(const graph::Graph& graph, const Language& language, store::FlowStore& store,
                                const std::vector<ParameterDescription>& parameters,
                                const std::vector<std::optional<std::string>>& given, const std::string& program) {
  std::vector<Document> documents;
  documents.reserve(parameters.size());
  std::vector<GivenValue> values;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (!given[p]) continue;
    documents.push_back(parse_parameter(parameters[p], *given[p]));
    values.push_back({parameters[p].name, &documents.back().root()});
  }
  store::TaskData data;
  data.artifacts = language.save_parameters(store, values);
  auto add = [&](const char* name, auto encode) { data.artifacts.push_back(store::save_value(store, name, encode)); };
  add("name", [&](detail::Pickler& out) { out.text(graph.flow().name); });
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
