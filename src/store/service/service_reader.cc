#include "store/service/service_reader.h"

#include <algorithm>
#include <tuple>

#include "base/ascii.h"
#include "base/format.h"
#include "base/json.h"
#include "base/percent.h"
#include "store/service/service_rows.h"

namespace metaflow::store {

using base::Json;

namespace {

constexpr const char* kOldestForTags = "2.3.0";
constexpr int kTagAttempts = 10;  // attempts, while other processes change the tags at the same time

std::string path_of(const std::string& flow, const std::string& run) {
  return fmt::format("/flows/{}/runs/{}", base::percent_encode(flow), base::percent_encode(run));
}

std::string path_of(const std::string& flow, const std::string& run, const std::string& step) {
  return fmt::format("{}/steps/{}/tasks", path_of(flow, run), base::percent_encode(step));
}

std::string path_of(const std::string& flow, const TaskRef& task) {
  return fmt::format("{}/{}", path_of(flow, task.run, task.step), base::percent_encode(task.task));
}

/// The service's database has 32-bit run numbers, and fails for larger ones. Runs of the local provider have longer
/// numbers.
bool is_possible_id(const std::string& run) {
  if (!base::is_all_digits(run)) return true;
  return run.size() < 10 || (run.size() == 10 && run <= "2147483647");
}

}  // namespace

/// Null if the object does not exist.
Json ServiceMetadataReader::get(const std::string& path) {
  ServiceAnswer answer = client_.fetch({.path = path});
  if (answer.status == 404) return {};
  if (!answer.ok() || answer.json.is_null()) throw client_.error("read " + path, answer);
  return std::move(answer.json);
}

std::vector<Json> ServiceMetadataReader::list(const std::string& path) {
  std::vector<Json> rows;
  Json json = get(path);
  if (!json.is_list()) return rows;
  for (Json& row : json.items()) {
    if (row.is_object()) rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<ObjectInfo> ServiceMetadataReader::object(const std::string& path, const char* id, NameKind kind) {
  const Json row = get(path);
  if (!row.is_object()) return std::nullopt;
  ObjectInfo info{id_in(row, id), created_in(row)};
  client_.check_name(kind, info.id);
  return info;
}

std::vector<ObjectInfo> ServiceMetadataReader::objects(const std::string& path, const char* id, NameKind kind) {
  std::vector<ObjectInfo> infos;
  for (const Json& row : list(path)) {
    infos.push_back({id_in(row, id), created_in(row)});
    client_.check_name(kind, infos.back().id);
  }
  std::sort(infos.begin(), infos.end(), [](const ObjectInfo& a, const ObjectInfo& b) {  // by time, then by number
    return std::tuple(a.created, a.id.size(), a.id) < std::tuple(b.created, b.id.size(), b.id);
  });
  return infos;
}

std::vector<std::string> ServiceMetadataReader::flows() {
  std::vector<std::string> names;
  for (const Json& row : list("/flows")) {
    names.push_back(row["flow_id"].text());
    client_.check_name(NameKind::flow, names.back());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<RunInfo> ServiceMetadataReader::runs(const std::string& flow) {
  std::vector<RunInfo> infos;
  for (const Json& row : list(fmt::format("/flows/{}/runs", base::percent_encode(flow)))) {
    infos.push_back(run_of(row));
    client_.check_name(NameKind::run, infos.back().id);
  }
  std::stable_sort(infos.begin(), infos.end(),
                   [](const RunInfo& a, const RunInfo& b) { return a.created > b.created; });
  return infos;
}

std::optional<RunInfo> ServiceMetadataReader::run(const std::string& flow, const std::string& run) {
  if (!is_possible_id(run)) return std::nullopt;
  const Json row = get(path_of(flow, run));
  if (!row.is_object()) return std::nullopt;
  RunInfo info = run_of(row);
  client_.check_name(NameKind::run, info.id);
  return info;
}

std::vector<ObjectInfo> ServiceMetadataReader::steps(const std::string& flow, const std::string& run) {
  return objects(path_of(flow, run) + "/steps", "step_name", NameKind::step);
}

std::vector<ObjectInfo> ServiceMetadataReader::tasks(const std::string& flow, const std::string& run,
                                                     const std::string& step) {
  return objects(path_of(flow, run, step), "task_id", NameKind::task);
}

std::optional<ObjectInfo> ServiceMetadataReader::flow(const std::string& flow) {
  return object("/flows/" + base::percent_encode(flow), "flow_id", NameKind::flow);
}

std::optional<ObjectInfo> ServiceMetadataReader::step(const std::string& flow, const std::string& run,
                                                      const std::string& step) {
  if (!is_possible_id(run)) return std::nullopt;
  return object(fmt::format("{}/steps/{}", path_of(flow, run), base::percent_encode(step)), "step_name",
                NameKind::step);
}

std::optional<ObjectInfo> ServiceMetadataReader::task(const std::string& flow, const TaskRef& task) {
  if (!is_possible_id(task.run)) return std::nullopt;
  return object(path_of(flow, task), "task_id", NameKind::task);
}

std::vector<FieldInfo> ServiceMetadataReader::fields(const std::string& flow, const TaskRef& task) {
  std::vector<FieldInfo> infos;
  for (const Json& row : list(path_of(flow, task) + "/metadata")) {
    infos.push_back(field_of(row));
  }
  std::reverse(infos.begin(), infos.end());  // the service lists the newest first, also within a millisecond
  std::stable_sort(infos.begin(), infos.end(),
                   [](const FieldInfo& a, const FieldInfo& b) { return a.created < b.created; });
  return infos;
}

std::vector<ArtifactInfo> ServiceMetadataReader::artifacts(const std::string& flow, const TaskRef& task, int attempt) {
  const std::string path = path_of(flow, task);
  std::vector<ArtifactInfo> infos;
  for (const Json& row :
       list(attempt < 0 ? path + "/artifacts" : fmt::format("{}/attempt/{}/artifacts", path, attempt))) {
    infos.push_back(artifact_of(row));
    client_.check_name(NameKind::artifact, infos.back().name);
    client_.check_name(NameKind::key, infos.back().key);
  }
  std::sort(infos.begin(), infos.end(), [](const ArtifactInfo& a, const ArtifactInfo& b) { return a.name < b.name; });
  return infos;
}

std::optional<ArtifactInfo> ServiceMetadataReader::artifact(const std::string& flow, const TaskRef& task, int attempt,
                                                            const std::string& name) {
  std::string path = fmt::format("{}/artifacts/{}", path_of(flow, task), base::percent_encode(name));
  if (attempt >= 0) path += fmt::format("/attempt/{}", attempt);
  const Json row = get(path);
  if (!row.is_object()) return std::nullopt;
  ArtifactInfo info = artifact_of(row);
  client_.check_name(NameKind::artifact, info.name);
  client_.check_name(NameKind::key, info.key);
  return info;
}

std::vector<std::string> ServiceMetadataReader::edit_tags(const std::string& flow, const std::string& run,
                                                          const std::vector<std::string>& add,
                                                          const std::vector<std::string>& remove) {
  check_tags(add);
  client_.check(kOldestForTags);
  const std::string body = Json{{"tags_to_add", add}, {"tags_to_remove", remove}}.dump();
  const net::RetryOptions patience{.tries = kTagAttempts, .first_delay = 300'000, .max_delay = 10'000'000};
  net::Retry conflicts(patience, client_.budget(), client_.random());
  while (true) {
    const ServiceAnswer answer =
        client_.fetch({.method = "PATCH", .path = path_of(flow, run) + "/tag/mutate", .body = body});
    if (answer.ok() && answer.json.is_object()) {
      std::vector<std::string> tags = answer.json["tags"].texts();
      std::sort(tags.begin(), tags.end());
      return tags;
    }
    if (answer.status == 404) throw Error(ErrorCode::not_found, fmt::format("No run {}/{} found", flow, run));
    const bool refused = answer.status == 400 || answer.status == 422;
    if (refused) throw Error(ErrorCode::tagging, "Metadata service says: " + (answer.json.text_or(answer.body)));
    const auto pause = answer.status == 409 ? conflicts.next_delay() : std::nullopt;
    if (!pause && answer.status == 409)
      throw Error(ErrorCode::tagging, "Tagging failed due to too many conflicting updates from other processes");
    if (!pause) throw client_.error(fmt::format("change the tags of {}/{}", flow, run), answer);
    bool over = false;
    loop_.after(*pause, [&over] { over = true; });
    while (!over) loop_.run_once();
  }
}

}  // namespace metaflow::store
