#include "store/service/service_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/json.h"
#include "base/text.h"

namespace metaflow::store {

using base::Json;

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kPeriod = 10 * kSecond;
constexpr std::int64_t kLongestPeriod = 40 * kSecond;  // the UI takes a task for dead after a minute
constexpr std::string_view kAttemptTag = "attempt_id:";

}  // namespace

Json parse_answer(std::string_view body) { return Json::parse(body).value_or(Json()); }

std::string words_of_answer(const Json& json) {
  if (json.is_text()) {
    const std::string& text = json.text();
    if (!text.starts_with('{')) return text;
    const Json inner = parse_answer(text);
    return inner.is_object() ? words_of_answer(inner) : text;
  }
  if (!json.is_object()) return {};
  for (const char* name : {"message", "detail", "err_msg", "msg", "pgerror"}) {
    if (std::string words = words_of_answer(json[name]); !words.empty()) return words;
  }
  return {};
}

std::string id_in(const Json& row, const char* name) {
  const Json& id = row[name];
  return id.is_integer() ? id.dump() : id.text();
}

std::int64_t created_in(const Json& row) {
  return std::llround(std::clamp(row["ts_epoch"].number().value_or(0), 0.0, 1e15) * 1000);
}

RunInfo run_of(const Json& row) {
  return {id_in(row, "run_number"), row["user_name"].text(), row["tags"].texts(), row["system_tags"].texts(),
          created_in(row)};
}

FieldInfo field_of(const Json& row) {
  FieldInfo info;
  info.name = row["field_name"].text();
  info.value = row["value"].text();
  info.type = row["type"].text();
  info.created = created_in(row);
  for (const std::string& tag : row["tags"].texts()) {
    if (tag.starts_with(kAttemptTag))
      std::from_chars(tag.data() + kAttemptTag.size(), tag.data() + tag.size(), info.attempt);
  }
  return info;
}

ArtifactInfo artifact_of(const Json& row) {
  return {row["name"].text(),    row["sha"].text(),      row["content_type"].text(),
          row["ds_type"].text(), row["location"].text(), static_cast<int>(row["attempt_id"].integer().value_or(0)),
          created_in(row)};
}

std::int64_t heartbeat_period(const Json& answer) {
  if (!answer.is_text()) return kPeriod;
  const Json json = parse_answer(answer.text());
  const double seconds = std::clamp(json["wait_time_in_seconds"].number().value_or(0), 0.0, 1e6);
  return seconds <= 0 ? kPeriod : std::clamp(static_cast<std::int64_t>(seconds * 1e6), kSecond, kLongestPeriod);
}

}  // namespace metaflow::store
