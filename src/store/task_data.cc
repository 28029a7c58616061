#include "store/task_data.h"

#include <algorithm>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::store {

using base::json_quoted;

bool valid_path_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name[0] == '.' || name[0] == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '.';
  });
}

std::optional<TaskRef> parse_task_ref(std::string_view text) {
  const auto parts = base::split(text, '/');
  if (parts.size() != 3 || !std::all_of(parts.begin(), parts.end(), valid_path_name)) return std::nullopt;
  return TaskRef{parts[0], parts[1], parts[2]};
}

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
    objects += fmt::format("{}\"{}\": \"{}\"", comma, artifact.name, artifact.key);
    info += fmt::format("{}\"{}\": {{\"size\": {}, \"type\": {}, \"encoding\": \"{}\"}}", comma, artifact.name,
                        artifact.size, json_quoted(artifact.type), artifact.encoding);
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
      details += fmt::format("{}[\"{}\", \"{}\", {}, \"{}\"]", i > 0 ? ", " : "", source.variable, source.key,
                             source.size, source.offsets);
    }
    details += "]";
  }
  return fmt::format(
      R"({{"datastore": "{}", "version": "1.0", "attempt": {}, "python_version": "", "objects": {{{}}}, "info": {{{}}}, "cpp": {{{}}}}})",
      datastore, data.attempt, objects, info, details);
}

TaskData task_data_from_json(std::string_view text, std::string_view path) {
  auto damaged = [&](std::string_view why) {
    return Error(ErrorCode::data_store, fmt::format("'{}' is damaged: {}", path, why),
                 "The task has to be executed again: use resume.");
  };
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
    const base::Json& info = json.at("info");
    for (const auto& [name, key] : json.at("objects").members()) {
      ArtifactRecord artifact{name, key.as<std::string>(name), 0, "", ""};
      if (!base::is_hex_key(artifact.key)) throw damaged("the key of '" + name + "' is not one");
      if (const base::Json* details = info.find(name)) {
        artifact.size = details->get("size", std::uint64_t{0});
        artifact.type = details->get("type", "");
        artifact.encoding = details->get("encoding", "pickle-v4");
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
                              source.at(2).as<std::uint64_t>("items"), source.at(3).as<std::string>("items")});
      }
    }
  } catch (const base::JsonMismatch& error) {
    throw damaged(error.what());
  }
  return data;
}

}  // namespace metaflow::store
