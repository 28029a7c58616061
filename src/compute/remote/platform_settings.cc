#include "compute/remote/platform_settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::compute {

namespace {

using base::Json;

constexpr std::int64_t kMaxJobSeconds = 5 * 24 * 3600;  // seconds: Metaflow's time limit where a step has none
constexpr std::int64_t kMinJobSeconds = 60;             // in less time, a container hardly starts

}  // namespace

std::string PlatformSettings::text(const std::string& name, const std::string& otherwise) const {
  return settings_.get(prefix_ + name, otherwise);
}

std::optional<double> PlatformSettings::number(const std::string& name) const {
  const std::string value = text(name);
  if (value.empty()) return std::nullopt;
  double number = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size()) wrong(name, value, "a number");
  return number;
}

bool PlatformSettings::boolean(const std::string& name) const {
  const std::string value = base::lower(text(name));
  if (value.empty() || value == "0" || value == "false" || value == "no" || value == "off") return false;
  if (value == "1" || value == "true" || value == "yes" || value == "on") return true;
  wrong(name, value, "true or false");
}

std::vector<std::string> PlatformSettings::list(const std::string& name) const {
  const std::string value = text(name);
  std::vector<std::string> items;
  if (value.starts_with('[')) {
    const Json given = json(name, "a list of strings");
    for (const Json& item : given.items()) {
      if (!item.is_text()) wrong(name, value, "a list of strings");
      items.push_back(item.text());
    }
    return items;
  }
  for (const std::string& item : base::split(value, ',')) {
    if (!base::trim(item).empty()) items.emplace_back(base::trim(item));
  }
  return items;
}

std::map<std::string, std::string> PlatformSettings::dict(const std::string& name) const {
  const std::string value = text(name);
  std::map<std::string, std::string> items;
  if (value.starts_with('{')) {
    const Json object = json(name, "an object of strings");
    for (const auto& [key, item] : object.members()) items[key] = item.is_text() ? item.text() : item.dump();
    return items;
  }
  for (const std::string& item : list(name)) {
    const std::size_t equals = item.find('=');
    items[item.substr(0, equals)] = equals == std::string::npos ? "" : item.substr(equals + 1);
  }
  return items;
}

std::vector<std::map<std::string, std::string>> PlatformSettings::objects(const std::string& name) const {
  std::vector<std::map<std::string, std::string>> objects;
  if (text(name).empty()) return objects;
  const Json list = json(name, "a JSON list of objects");
  for (const Json& object : list.items()) {
    if (!object.is_object()) wrong(name, text(name), "a JSON list of objects");
    auto& items = objects.emplace_back();
    for (const auto& [key, item] : object.members()) items[key] = item.is_text() ? item.text() : item.dump();
  }
  return objects;
}

std::string PlatformSettings::image(const std::string& given, const char* otherwise) const {
  const std::string image =
      given_or(given, text("CONTAINER_IMAGE", settings_.get("DEFAULT_CONTAINER_IMAGE", otherwise)));
  return image_with_registry(image, text("CONTAINER_REGISTRY", settings_.get("DEFAULT_CONTAINER_REGISTRY", "")));
}

Json PlatformSettings::json(const std::string& name, const char* what) const {
  const std::string value = text(name);
  auto parsed = Json::parse(value);
  if (!parsed || (!parsed->is_list() && !parsed->is_object())) wrong(name, value, what);
  return std::move(*parsed);
}

void PlatformSettings::wrong(const std::string& name, const std::string& value, const char* what) const {
  throw Error::of_platform(title_, fmt::format("METAFLOW_{}{} is '{}', which is not {}", prefix_, name, value, what));
}

std::string image_with_registry(const std::string& image, const std::string& registry) {
  const std::size_t slash = image.rfind('/');
  const bool has_registry = slash != std::string::npos && image.find_first_of(".:") < slash;
  if (registry.empty() || has_registry) return image;
  return registry.substr(0, registry.find_last_not_of('/') + 1) + "/" + image;
}

double Positive::operator()(const char* attribute, double value) const {
  if (!(value > 0) || !std::isfinite(value))
    throw Error::of_platform(
        title, fmt::format("Invalid {} value *{}* for step *{}*; it should be greater than 0", attribute, value, step));
  return value;
}

int Positive::operator()(const char* attribute, int value) const {
  if (value <= 0)
    throw Error::of_platform(
        title, fmt::format("Invalid {} value: *{}* for step *{}* (it should be an integer greater than 0)", attribute,
                           value, step));
  return value;
}

void Positive::check_path(const char* attribute, const std::string& path) const {
  if (!path.starts_with('/'))
    throw Error::of_platform(
        title, fmt::format("{} of step *{}* has the path '{}', which must begin with /", attribute, step, path));
}

int half_of(double memory) { return std::max(1, static_cast<int>(memory / 2)); }

std::int64_t job_seconds(const std::vector<graph::Decorator>& decorators, const Positive& step) {
  const std::int64_t limit = graph::time_limit(decorators) / 1'000'000;
  if (limit > 0 && limit < kMinJobSeconds)
    throw Error::of_platform(step.title,
                             fmt::format("The timeout for step *{}* should be at least {} seconds for execution on {}.",
                                         step.step, kMinJobSeconds, step.title));
  return limit > 0 ? limit : kMaxJobSeconds;
}

std::int64_t number_of(const base::Settings& settings, const std::string& name, std::int64_t otherwise,
                       const char* what) {
  const auto text = settings.get(name);
  if (!text) return otherwise;
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text->data() + text->size() || number < 0 || number > INT32_MAX)
    throw Error(ErrorCode::invalid_command, fmt::format("METAFLOW_{} is '{}', which is not {}", name, *text, what));
  return number;
}

}  // namespace metaflow::compute
