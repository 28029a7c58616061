#include "store/service/service_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/json.h"
#include "base/text.h"

namespace metaflow::store {

using base::text_member;
using Json = nlohmann::json;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kPeriod = 10 * kSecond;
constexpr std::int64_t kLongestPeriod = 40 * kSecond;  // after a minute, the UI takes a task for dead
constexpr std::string_view kAttemptTag = "attempt_id:";

}  // namespace

Json parse_answer(std::string_view body) {
  if (body.empty() || base::is_deep_json(body)) return {};
  Json json = Json::parse(body, nullptr, false);
  return json.is_discarded() ? Json() : json;
}

std::string words_of_answer(const Json& json) {
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    if (!text.starts_with('{')) return text;
    const Json inner = parse_answer(text);
    return inner.is_object() ? words_of_answer(inner) : text;
  }
  if (!json.is_object()) return {};
  for (const char* name : {"message", "detail", "err_msg", "msg", "pgerror"}) {
    const auto found = json.find(name);
    if (found == json.end()) continue;
    if (std::string words = words_of_answer(*found); !words.empty()) return words;
  }
  return {};
}

std::string id_in(const Json& row, const char* name) {
  const auto id = row.is_object() ? row.find(name) : row.end();
  if (!row.is_object() || id == row.end()) return {};
  if (id->is_string()) return id->get<std::string>();
  return id->is_number_integer() ? id->dump() : std::string();
}

std::int64_t created_in(const Json& row) {
  const auto stamp = row.find("ts_epoch");
  if (stamp == row.end() || !stamp->is_number()) return 0;
  return std::llround(std::clamp(stamp->get<double>(), 0.0, 1e15) * 1000);
}

std::vector<std::string> texts_in(const Json& row, const char* name) {
  std::vector<std::string> texts;
  const auto found = row.find(name);
  if (found == row.end() || !found->is_array()) return texts;
  for (const Json& text : *found) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

RunInfo run_of(const Json& row) {
  return {id_in(row, "run_number"), text_member(row, "user_name"), texts_in(row, "tags"), texts_in(row, "system_tags"),
          created_in(row)};
}

FieldInfo field_of(const Json& row) {
  FieldInfo info;
  info.name = text_member(row, "field_name");
  info.value = text_member(row, "value");
  info.type = text_member(row, "type");
  info.created = created_in(row);
  for (const std::string& tag : texts_in(row, "tags")) {
    if (tag.starts_with(kAttemptTag))
      std::from_chars(tag.data() + kAttemptTag.size(), tag.data() + tag.size(), info.attempt);
  }
  return info;
}

ArtifactInfo artifact_of(const Json& row) {
  const auto number = row.find("attempt_id");
  return {text_member(row, "name"),
          text_member(row, "sha"),
          text_member(row, "content_type"),
          text_member(row, "ds_type"),
          text_member(row, "location"),
          number != row.end() && number->is_number_integer() ? number->get<int>() : 0,
          created_in(row)};
}

std::int64_t heartbeat_period(const Json& answer) {
  if (!answer.is_string()) return kPeriod;
  const Json json = parse_answer(answer.get_ref<const std::string&>());
  const auto wait = json.find("wait_time_in_seconds");
  if (wait == json.end() || !wait->is_number()) return kPeriod;
  const double seconds = std::clamp(wait->get<double>(), 0.0, 1e6);
  return seconds <= 0 ? kPeriod : std::clamp(static_cast<std::int64_t>(seconds * 1e6), kSecond, kLongestPeriod);
}

}  // namespace metaflow::store
