// Reading JSON that something else may have written, or damaged.
#pragma once

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace metaflow::base {

/// A whole number. Throws nlohmann::json::exception for anything else, also for 1e300, which get<int>() would convert
/// without a look at what comes out.
template <class T>
T whole_number(const nlohmann::json& json) {
  return static_cast<T>(json.get_ref<const nlohmann::json::number_integer_t&>());
}

/// The same of a member, which may be missing.
template <class T>
T whole_number(const nlohmann::json& json, const char* name, T missing) {
  const auto member = json.find(name);
  return member == json.end() ? missing : whole_number<T>(*member);
}

/// A JSON object; nothing if the text is none.
std::optional<nlohmann::ordered_json> parse_object(std::string_view text);

/// The text at a path of keys ("metadata", "name"); empty if there is none.
std::string text_at(const nlohmann::ordered_json& object, std::initializer_list<const char*> keys);

/// The text that is a member of an object; empty where there is none.
template <class Json>
std::string text_member(const Json& json, const char* name) {
  const auto member = json.find(name);
  return member == json.end() || !member->is_string() ? std::string() : member->template get<std::string>();
}

}  // namespace metaflow::base
