#include "graph/decorators.h"

#include <algorithm>
#include <cstdlib>

#include <metaflow/codec.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "value/json_value.h"
#include "value/unpickler.h"

namespace metaflow {

/// What Metaflow calls it: words of C++ have an underscore more here (catch_, namespace_).
static std::string_view without_underscore(std::string_view name) {
  while (name.ends_with('_')) name.remove_suffix(1);
  return name;
}

template <class D>
static std::string_view name_of() {
  return without_underscore(
      detail::identifier_before(detail::spelling_of_type<D>(), detail::spelling_of_type<D>().size()));
}

template <class D>
static detail::Decorator describe_decorator(const D& decorator) {
  detail::Pickler pickler;
  detail::encode(pickler, decorator);
  pickler.finish();
  detail::Decorator described;
  described.name = name_of<D>();
  for (const auto& part : pickler.parts()) described.attributes += base::as_text(part);
  return described;
}

detail::Decorator make_decorator(const resources& decorator) { return describe_decorator(decorator); }
detail::Decorator make_decorator(const environment& decorator) { return describe_decorator(decorator); }
detail::Decorator make_decorator(const retry& decorator) { return describe_decorator(decorator); }
detail::Decorator make_decorator(const timeout& decorator) { return describe_decorator(decorator); }
detail::Decorator make_decorator(const catch_& decorator) { return describe_decorator(decorator); }
detail::Decorator make_decorator(const local& decorator) { return describe_decorator(decorator); }
detail::Decorator make_decorator(const kubernetes& decorator) { return describe_decorator(decorator); }
detail::Decorator make_decorator(const batch& decorator) { return describe_decorator(decorator); }

namespace graph {

namespace {

constexpr int kMaxRetries = 4;  // Metaflow's: 6 attempts at most, one of them the last resort of catch
constexpr double kMaxMinutes = 60 * 24 * 365;

/// What is known of a decorator without its type.
struct Known {
  std::string name;
  Json defaults;
  void (*check)(const Json& attributes);
};

template <class D>
D typed(const Json& attributes) {
  Json members = attributes;
  for (std::string_view member : detail::kMemberNames<D>.names) {
    const std::string_view name = without_underscore(member);
    Json* named = members.find(name);
    if (named == nullptr || name == member) continue;
    Json value = std::move(*named);
    members.erase(name);
    members.set(member, std::move(value));
  }
  const Document document = value::document_of(members);
  D decorator{};
  detail::decode(document.root(), detail::Place{}, decorator);
  return decorator;
}

/// What the types of the attributes do not say.
template <class D>
void check_values(const D&) {}

template <>
void check_values(const environment& decorator) {
  for (const auto& [name, value] : decorator.vars) {
    if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos)
      throw Error(ErrorCode::invalid_value, fmt::format("'{}' cannot be the name of an environment variable", name));
    if (value.find('\0') != std::string::npos)
      throw Error(ErrorCode::invalid_value, fmt::format("the value of '{}' has a zero byte", name));
  }
}

template <>
void check_values(const retry& decorator) {
  if (decorator.times < 0) throw Error(ErrorCode::invalid_value, "times is at least 0");
  if (decorator.times > kMaxRetries)
    throw Error(ErrorCode::invalid_value,
                fmt::format("The maximum number of retries is @retry(times={}).", kMaxRetries));
  if (!(decorator.minutes_between_retries >= 0 && decorator.minutes_between_retries <= kMaxMinutes))
    throw Error(ErrorCode::invalid_value, fmt::format("minutes_between_retries is from 0 to {}", kMaxMinutes));
}

template <>
void check_values(const timeout& decorator) {
  const double minutes = decorator.seconds / 60 + decorator.minutes + decorator.hours * 60;
  if (decorator.seconds < 0 || decorator.minutes < 0 || decorator.hours < 0 || !(minutes > 0 && minutes <= kMaxMinutes))
    throw Error(ErrorCode::invalid_value, "Specify a duration for @timeout.",
                "For example: seconds=90, or hours=1,minutes=30.");
}

template <>
void check_values(const catch_& decorator) {
  if (decorator.var.empty()) return;
  if (detail::identifier_before(decorator.var, decorator.var.size()) != decorator.var ||
      decorator.var.starts_with('_') || (decorator.var[0] >= '0' && decorator.var[0] <= '9') || decorator.var == "name")
    throw Error(ErrorCode::invalid_value, fmt::format("'{}' cannot be the name of an artifact", decorator.var));
}

template <class D>
Known known() {
  const Decorator decorator = from_description(make_decorator(D{}));
  return {decorator.name, decorator.attributes, [](const Json& attributes) { check_values(typed<D>(attributes)); }};
}

const std::vector<Known>& all_known() {
  static const std::vector<Known> decorators{known<batch>(),      known<catch_>(), known<environment>(),
                                             known<kubernetes>(), known<local>(),  known<resources>(),
                                             known<retry>(),      known<timeout>()};
  return decorators;
}

const Known& find_known(const std::string& name) {
  std::vector<std::string> names;
  for (const Known& known : all_known()) {
    if (known.name == name) return known;
    names.push_back(known.name);
  }
  throw Error(ErrorCode::unknown_decorator,
              fmt::format("Unknown step decorator {}. The following decorators are supported: {}", name,
                          base::join(names, ", ")));
}

/// The value of an attribute: JSON if it is that (also with \" for ", as Metaflow writes it for its child processes),
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

/// Where the JSON object, list or text that begins here ends; `at` if none begins or it has no end.
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

/// Splits at the commas that come before something like `word=`, so that commas inside values survive; nowhere inside
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

/// Metaflow takes numbers for values of environment variables and the like.
void make_text(Json& values) {
  for (Json& each : values.items()) make_text(each);
  for (auto& [name, value] : values.members()) {
    if (value.is_number() || value.is_boolean()) value = text_of(value::document_of(value).root());
  }
}

/// "a=b,c=d" as Metaflow takes it for a dict of texts.
void make_dict(Json& text) {
  if (!text.is_text()) return;
  Json dict = Json::object();
  for (const std::string& part : base::split(text.text(), ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos)
      throw Error(ErrorCode::invalid_value, fmt::format("Unable to parse list: {}", text.text()),
                  "It looks like this: a=b,c=d");
    const std::string key(base::trim(std::string_view(part).substr(0, equals)));
    if (dict.contains(key)) throw Error(ErrorCode::invalid_value, "Duplicate key found: " + key);
    dict.set(key, base::trim(std::string_view(part).substr(equals + 1)));
  }
  text = dict;
}

/// What may be written in another form on a command line.
void normalise(const std::string& name, Json& attributes) {
  if (Json* vars = attributes.find("vars"); name == "environment" && vars != nullptr) make_text(*vars);
  if (name != "kubernetes" && name != "batch") return;
  // The names of the two platforms do not collide: one list does for both.
  auto each = [&](std::initializer_list<const char*> names, auto what) {
    for (const char* attribute : names) {
      if (Json* found = attributes.find(attribute)) what(*found);
    }
  };
  each({"node_selector", "labels", "annotations", "persistent_volume_claims", "extended_resources", "security_context",
        "aws_batch_tags"},
       [](Json& dict) {
         make_dict(dict);
         make_text(dict);
       });
  each({"tolerations"}, make_text);
  each({"secrets", "image_pull_secrets", "host_volumes", "efs_volumes", "log_options"}, [](Json& list) {
    if (list.is_text()) list = base::split(list.text(), ',');
  });
  // Texts that look like something else, such as an image named 12.
  each({"image", "namespace", "service_account", "compute_pool", "queue"}, [](Json& text) {
    if (text.is_number()) text = text.dump();
  });
}

void check(const Known& known, const Json& attributes) {
  try {
    known.check(attributes);
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_value, fmt::format("Decorator '{}': {}", known.name, error.message()));
  }
}

}  // namespace

Decorator parse_decorator(std::string_view spec) {
  const std::size_t colon = spec.find(':');
  Decorator decorator;
  decorator.name = base::trim(spec.substr(0, colon));
  decorator.statically_defined = false;
  if (decorator.name.empty()) {
    throw Error(ErrorCode::invalid_value, fmt::format("--with '{}' names no decorator", spec),
                "For example: --with resources:cpu=4,memory=8000");
  }
  const Known& known = find_known(decorator.name);
  decorator.attributes = known.defaults;
  if (colon != std::string_view::npos && !base::trim(spec.substr(colon + 1)).empty()) {
    for (const std::string& part : split_attributes(spec.substr(colon + 1))) {
      const std::size_t equals = part.find('=');
      if (equals == std::string::npos) {
        throw Error(ErrorCode::invalid_value, fmt::format("--with {}: '{}' is no attribute=value", spec, part),
                    fmt::format("For example: --with {}:{}=...", known.name, known.defaults.members()[0].name));
      }
      const std::string name(base::trim(std::string_view(part).substr(0, equals)));
      if (!known.defaults.contains(name)) {
        std::vector<std::string> names;
        for (const auto& [attribute, value] : known.defaults.members()) names.push_back(attribute);
        throw Error(
            ErrorCode::unknown_attribute,
            fmt::format("Decorator '{}' does not support the attribute '{}'. These attributes are supported: {}.",
                        known.name, name, base::join(names, ", ")));
      }
      decorator.attributes.set(name, parse_value(std::string(base::trim(std::string_view(part).substr(equals + 1)))));
    }
  }
  try {
    normalise(known.name, decorator.attributes);
  } catch (const Error& error) {
    throw error.prefixed(fmt::format("Decorator '{}': ", known.name));
  }
  check(known, decorator.attributes);
  return decorator;
}

void check_decorator(const Decorator& decorator) { check(find_known(decorator.name), decorator.attributes); }

std::string decorator_spec(const Decorator& decorator) {
  std::string spec = decorator.name;
  char separator = ':';
  for (const auto& [name, value] : decorator.attributes.members()) {
    if (value.is_null()) continue;
    spec += separator;
    spec += name + "=" + value.dump();
    separator = ',';
  }
  return spec;
}

Decorator from_description(const detail::Decorator& described) {
  const Document document = value::read_pickle(base::SharedBytes(described.attributes));
  Decorator decorator{described.name, Json::object(), true};
  const Json attributes = value::json_of(document.root());
  for (const auto& [name, value] : attributes.members())
    decorator.attributes.set(std::string(without_underscore(name)), value);
  return decorator;
}

template <class D>
std::optional<D> find_decorator(const std::vector<Decorator>& decorators) {
  for (const Decorator& decorator : decorators) {
    if (decorator.name == name_of<D>()) return typed<D>(decorator.attributes);
  }
  return std::nullopt;
}

template std::optional<resources> find_decorator<resources>(const std::vector<Decorator>&);
template std::optional<environment> find_decorator<environment>(const std::vector<Decorator>&);
template std::optional<retry> find_decorator<retry>(const std::vector<Decorator>&);
template std::optional<timeout> find_decorator<timeout>(const std::vector<Decorator>&);
template std::optional<catch_> find_decorator<catch_>(const std::vector<Decorator>&);
template std::optional<local> find_decorator<local>(const std::vector<Decorator>&);
template std::optional<kubernetes> find_decorator<kubernetes>(const std::vector<Decorator>&);
template std::optional<batch> find_decorator<batch>(const std::vector<Decorator>&);

std::vector<Decorator> decorators_of(const detail::StepDescription& step, const std::vector<std::string>& with) {
  std::vector<Decorator> decorators;
  for (const detail::Decorator& decorator : step.decorators) decorators.push_back(from_description(decorator));
  for (const std::string& spec : with) {
    Decorator decorator = parse_decorator(spec);
    if (!has_decorator(decorators, decorator.name)) decorators.push_back(std::move(decorator));
  }
  return decorators;
}

bool has_decorator(const std::vector<Decorator>& decorators, std::string_view name) {
  return std::any_of(decorators.begin(), decorators.end(), [&](const Decorator& d) { return d.name == name; });
}

}  // namespace graph
}  // namespace metaflow
