#include "base/json.h"

#include "base/text.h"

namespace metaflow::base {

using Json = nlohmann::ordered_json;

std::optional<Json> parse_object(std::string_view text) {
  if (is_deep_json(text)) return std::nullopt;
  Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  return object;
}

std::string text_at(const Json& object, std::initializer_list<const char*> keys) {
  const Json* at = &object;
  for (const char* key : keys) {
    if (!at->is_object()) return {};
    const auto found = at->find(key);
    if (found == at->end()) return {};
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace metaflow::base
