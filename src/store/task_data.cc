#include "store/task_data.h"

#include <algorithm>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::store {

using base::json_quoted;

namespace {

constexpr int kMostAttempts = 1000;
constexpr std::size_t kLongestEncoding = 100;

Error damaged_file(std::string_view path, std::string_view why) {
  return Error(ErrorCode::data_store, fmt::format("'{}' is damaged: {}", path, why),
               "`resume` executes the task again.");
}

/// "gzip+pickle-v4", or the name that an extension of Metaflow uses. Empty: not given.
bool is_encoding(std::string_view text) {
  return text.size() <= kLongestEncoding && std::all_of(text.begin(), text.end(), [](char c) {
           return base::is_alphanumeric(c) || std::string_view("+-._/").find(c) != std::string_view::npos;
         });
}

}  // namespace

const ArtifactRecord* TaskData::find(std::string_view name) const {
  const auto at = std::lower_bound(artifacts.begin(), artifacts.end(), name,
                                   [](const ArtifactRecord& a, std::string_view n) { return a.name < n; });
  return at != artifacts.end() && at->name == name ? &*at : nullptr;
}

std::string to_json(const TaskData& data, std::string_view datastore) {
  std::string objects;
  std::string info;
  for (const ArtifactRecord& artifact : data.artifacts) {
    const char* comma = objects.empty() ? "" : ", ";
    const std::string name = json_quoted(artifact.name);
    objects += fmt::format("{}{}: {}", comma, name, json_quoted(artifact.key));
    info += fmt::format("{}{}: {{\"size\": {}, \"type\": {}, \"encoding\": {}}}", comma, name, artifact.size,
                        json_quoted(artifact.type), json_quoted(artifact.encoding));
  }
  std::string details = fmt::format("\"ok\": {}, \"next\": {}", data.ok, json_quoted(data.next));
  if (data.splits) details += fmt::format(", \"splits\": {}", *data.splits);
  if (!data.place.empty()) details += fmt::format(", \"place\": [{}]", base::join(data.place, ", "));
  if (data.iteration) details += fmt::format(", \"iteration\": {}", *data.iteration);
  if (!data.failure.empty()) details += ", \"failure\": " + json_quoted(data.failure);
  if (!data.items.empty()) {
    details += ", \"items\": [";
    for (std::size_t i = 0; i < data.items.size(); ++i) {
      const ItemSource& source = data.items[i];
      details += fmt::format("{}[{}, {}, {}, {}", i > 0 ? ", " : "", json_quoted(source.variable),
                             json_quoted(source.key), source.size, json_quoted(source.offsets));
      if (!source.separate.empty()) details += ", " + json_quoted(source.separate);
      details += "]";
    }
    details += "]";
  }
  return fmt::format(
      R"({{"datastore": {}, "version": "1.0", "attempt": {}, "python_version": "", "objects": {{{}}}, "info": {{{}}}, "cpp": {{{}}}}})",
      json_quoted(datastore), data.attempt, objects, info, details);
}

void check_details(const TaskData& data, std::string_view path) {
  auto check = [&](NameKind kind, const std::string& name) {
    if (!is_name(kind, name)) throw damaged_file(path, not_a_name(kind, name));
  };
  for (const std::string& step : data.next) check(NameKind::step, step);
  for (const ItemSource& source : data.items) {
    check(NameKind::artifact, source.variable);
    if (!source.key.empty()) check(NameKind::key, source.key);
    if (!source.offsets.empty()) check(NameKind::key, source.offsets);
    if (!source.separate.empty()) check(NameKind::key, source.separate);
  }
}

TaskData task_data_from_json(std::string_view text, std::string_view path) {
  auto damaged = [&](std::string_view why) { return damaged_file(path, why); };
  TaskData data;
  try {
    const base::Json json = base::Json::parse_or_throw(text);
    const std::string version = json.get("version", "1.0");
    if (!version.starts_with("1.")) {
      throw Error(ErrorCode::data_store,
                  fmt::format("'{}' has version {} of the format; this program reads versions 1.x", path, version),
                  "Update the program's Metaflow library.");
    }
    data.attempt = json.get("attempt", 0);
    if (data.attempt < 0 || data.attempt > kMostAttempts)
      throw damaged(fmt::format("invalid attempt {}", data.attempt));
    const base::Json& info = json.at("info");
    for (const auto& [name, key] : json.at("objects").members()) {
      ArtifactRecord artifact{name, key.as<std::string>(name), 0, "", ""};
      if (!is_name(NameKind::artifact, name)) throw damaged(not_a_name(NameKind::artifact, name));
      if (!is_name(NameKind::key, artifact.key)) throw damaged("the key of '" + name + "' is invalid");
      if (const base::Json* details = info.find(name)) {
        artifact.size = details->get("size", std::uint64_t{0});
        artifact.type = base::visible(details->get("type", ""));  // a metaclass may define any text
        artifact.encoding = details->get("encoding", "pickle-v4");
        if (!is_encoding(artifact.encoding))
          throw damaged(fmt::format("'{}' is not an encoding", base::visible(artifact.encoding)));
      }
      data.artifacts.push_back(std::move(artifact));
    }
    std::sort(data.artifacts.begin(), data.artifacts.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    if (const base::Json* details = json.find("cpp")) {
      data.has_details = true;
      data.ok = details->get("ok", true);
      data.failure = details->get("failure", "");
      data.next = details->get<std::vector<std::string>>("next");
      if (details->contains("splits")) data.splits = details->get<std::uint64_t>("splits");
      for (const base::Json& index : details->get_items("place")) data.place.push_back(index.as<std::size_t>("place"));
      if (details->contains("iteration")) data.iteration = details->get<std::size_t>("iteration");
      for (const base::Json& source : details->get_items("items")) {
        data.items.push_back({source.at(0).as<std::string>("items"), source.at(1).as<std::string>("items"),
                              source.at(2).as<std::uint64_t>("items"), source.at(3).as<std::string>("items"),
                              source.size() > 4 ? source.at(4).as<std::string>("items") : ""});
      }
    }
  } catch (const base::JsonMismatch& error) {
    throw damaged(error.what());
  }
  check_details(data, path);
  return data;
}

}  // namespace metaflow::store
