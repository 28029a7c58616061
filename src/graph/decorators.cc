#include "graph/decorators.h"

#include <algorithm>

#include <metaflow/detail/diagnostics.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "graph/decorator_kind.h"
#include "value/json_value.h"
#include "value/unpickler.h"

namespace metaflow::graph {

namespace {

/// Parses the value of an attribute: JSON if possible (also with \" for ", as Metaflow writes it for child processes),
/// else text.
Json parse_value(const std::string& text) {
  auto value = Json::parse(text);
  if (value) return std::move(*value);
  std::string plain = text;
  for (std::size_t at = plain.find("\\\""); at != std::string::npos; at = plain.find("\\\"", at + 1))
    plain.erase(at, 1);
  value = Json::parse(plain);
  return value ? std::move(*value) : Json(text);
}

/// The end of the JSON object, list or text that begins at `at`; `at` if none begins there or it has no end.
std::size_t end_of_json(std::string_view text, std::size_t at) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = at; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '{' || c == '[')) {
      ++depth;
    } else if (!quoted && (c == '}' || c == ']')) {
      --depth;
    }
    if (depth == 0 && !quoted) return c == '"' || c == '}' || c == ']' ? i + 1 : at;
  }
  return at;
}

/// Splits at commas that are followed by an attribute name and '=', so that commas inside values are kept; never inside
/// JSON.
std::vector<std::string> split_attributes(std::string_view text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '=' && at + 1 < text.size()) at = std::max(at, end_of_json(text, at + 1) - 1);
    if (text[at] != ',') continue;
    std::size_t word = at + 1;
    while (word < text.size() && text[word] == ' ') ++word;
    const std::size_t first = word;
    while (word < text.size() && detail::is_identifier_char(text[word])) ++word;
    const std::size_t last = word;
    while (word < text.size() && text[word] == ' ') ++word;
    if (last > first && word < text.size() && text[word] == '=') {
      parts.emplace_back(text.substr(begin, at - begin));
      begin = at + 1;
    }
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

}  // namespace

// --- the table

DecoratorTable::DecoratorTable(std::vector<const DecoratorKind*> kinds) : kinds_(std::move(kinds)) {
  std::sort(kinds_.begin(), kinds_.end(),
            [](const DecoratorKind* a, const DecoratorKind* b) { return a->name < b->name; });
}

const DecoratorKind& DecoratorTable::kind(const std::string& name) const {
  std::vector<std::string> names;
  for (const DecoratorKind* kind : kinds_) {
    if (kind->name == name) return *kind;
    names.push_back(kind->name);
  }
  throw Error(ErrorCode::unknown_decorator,
              fmt::format("Unknown step decorator {}. The following decorators are supported: {}", name,
                          base::join(names, ", ")));
}

void DecoratorTable::check(const Decorator& decorator) const {
  try {
    kind(decorator.name).check(decorator.attributes);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unknown_decorator) throw;
    throw Error(ErrorCode::invalid_value, fmt::format("Decorator '{}': {}", decorator.name, error.message()),
                error.hint());
  }
}

Decorator DecoratorTable::parse(std::string_view spec) const {
  const std::size_t colon = spec.find(':');
  Decorator decorator;
  decorator.name = base::trim(spec.substr(0, colon));
  decorator.statically_defined = false;
  if (decorator.name.empty()) {
    throw Error(ErrorCode::invalid_value, fmt::format("--with '{}' does not name a decorator", spec),
                "For example: --with resources:cpu=4,memory=8000");
  }
  const DecoratorKind& known = kind(decorator.name);
  const Json defaults = known.defaults();
  decorator.attributes = defaults;
  if (colon != std::string_view::npos && !base::trim(spec.substr(colon + 1)).empty()) {
    for (const std::string& part : split_attributes(spec.substr(colon + 1))) {
      const std::size_t equals = part.find('=');
      if (equals == std::string::npos) {
        throw Error(ErrorCode::invalid_value,
                    fmt::format("--with {}: '{}' is not of the form attribute=value", spec, part),
                    fmt::format("For example: --with {}:{}=...", known.name, defaults.members()[0].name));
      }
      const std::string name(base::trim(std::string_view(part).substr(0, equals)));
      if (!defaults.contains(name)) {
        std::vector<std::string> names;
        for (const auto& [attribute, value] : defaults.members()) names.push_back(attribute);
        throw Error(
            ErrorCode::unknown_attribute,
            fmt::format("Decorator '{}' does not support the attribute '{}'. These attributes are supported: {}.",
                        known.name, name, base::join(names, ", ")));
      }
      decorator.attributes.set(name, parse_value(std::string(base::trim(std::string_view(part).substr(equals + 1)))));
    }
  }
  try {
    if (known.normalise != nullptr) known.normalise(decorator.attributes);
  } catch (const Error& error) {
    throw error.prefixed(fmt::format("Decorator '{}': ", known.name));
  }
  check(decorator);
  return decorator;
}

std::vector<Decorator> DecoratorTable::of_step(const detail::StepDescription& step,
                                               const std::vector<std::string>& with) const {
  std::vector<Decorator> decorators;
  for (const detail::Decorator& decorator : step.decorators) decorators.push_back(from_description(decorator));
  for (const std::string& spec : with) {
    Decorator decorator = parse(spec);
    if (!has_decorator(decorators, decorator.name)) decorators.push_back(std::move(decorator));
  }
  return decorators;
}

std::vector<std::string> DecoratorTable::for_tasks(const std::vector<std::string>& with) const {
  std::vector<std::string> needed;
  for (const std::string& spec : with) {
    if (!may_hold_secrets(parse(spec))) needed.push_back(spec);
  }
  return needed;
}

std::vector<std::string> DecoratorTable::for_readers(const std::vector<std::string>& with) const {
  std::vector<std::string> specs;
  for (const std::string& spec : with) {
    const Decorator decorator = parse(spec);
    if (!may_hold_secrets(decorator)) {
      specs.push_back(spec);
      continue;
    }
    const Json attributes = public_attributes(decorator);
    std::vector<std::string> parts;
    for (const auto& [name, value] : attributes.members()) parts.push_back(name + "=" + value.dump());
    specs.push_back(decorator.name + ":" + base::join(parts, ","));
  }
  return specs;
}

// --- decorators of a step

Decorator from_description(const detail::Decorator& described) {
  const Document document = value::read_pickle(base::SharedBytes(described.attributes));
  Decorator decorator{described.name, Json::object(), true};
  const Json attributes = value::json_of(document.root());
  for (const auto& [name, value] : attributes.members()) decorator.attributes.set(without_underscore(name), value);
  return decorator;
}

bool has_decorator(const std::vector<Decorator>& decorators, std::string_view name) {
  return std::any_of(decorators.begin(), decorators.end(), [&](const Decorator& d) { return d.name == name; });
}

// --- conversions of alternative forms

void make_text(Json& values) {
  for (Json& each : values.items()) make_text(each);
  for (auto& [name, value] : values.members()) {
    if (value.is_number() || value.is_boolean()) value = text_of(value::document_of(value).root());
  }
}

void make_dict(Json& text) {
  if (!text.is_text()) return;
  Json dict = Json::object();
  for (const std::string& part : base::split(text.text(), ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos)
      throw Error(ErrorCode::invalid_value, fmt::format("Unable to parse list: {}", text.text()),
                  "The expected form is a=b,c=d.");
    const std::string key(base::trim(std::string_view(part).substr(0, equals)));
    if (dict.contains(key)) throw Error(ErrorCode::invalid_value, "Duplicate key found: " + key);
    dict.set(key, base::trim(std::string_view(part).substr(equals + 1)));
  }
  text = dict;
}

void make_list(Json& text) {
  if (text.is_text()) text = base::split(text.text(), ',');
}

void make_plain(Json& text) {
  if (text.is_number()) text = text.dump();
}

void change(Json& attributes, std::initializer_list<const char*> names, void (*how)(Json&)) {
  for (const char* name : names) {
    if (Json* found = attributes.find(name)) how(*found);
  }
}

}  // namespace metaflow::graph
