#include "store/local/local_metadata.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/plain_file.h"
#include "base/text.h"

namespace metaflow::store {

namespace {

using base::Json;
using base::json_quoted;

/// Milliseconds since 1970, as in Metaflow; microseconds are the fraction, since many tasks are made in one
/// millisecond.
std::string milliseconds(std::int64_t microseconds) {
  return fmt::format("{}.{:03}", microseconds / 1000, microseconds % 1000);
}

/// Rounds to a tenth of a second, so that the files of tasks that run at the same time have the same content.
std::int64_t coarse(std::int64_t microseconds) { return microseconds / 100'000 * 100'000; }

Json parse(const base::SharedBytes& text, const std::string& path) {
  try {
    Json json = Json::parse_or_throw(text.text());
    if (json.is_object()) return json;
  } catch (const base::JsonMismatch& error) {
    throw Error(ErrorCode::data_store, fmt::format("'{}' is damaged: {}", path, error.what()));
  }
  throw Error(ErrorCode::data_store, fmt::format("'{}' is damaged: it is not a JSON object", path));
}

std::int64_t created_of(const Json& json) { return std::llround(json["ts_epoch"].number().value_or(0) * 1000); }

std::string text_field(const Json& json, const char* field) {
  const Json* value = json.find(field);
  if (value == nullptr) return {};
  return value->is_text() ? value->text() : value->dump();
}

/// The artifact that the file of a row describes; nothing if the file does not exist.
std::optional<ArtifactInfo> artifact_in(const std::string& path, int attempt) {
  const auto text = base::read_plain_file(path, base::kMaxRecordSize);
  if (!text) return std::nullopt;
  const Json json = parse(*text, path);
  const std::string where = fmt::format("'{}'", path);
  check_name(NameKind::artifact, text_field(json, "name"), where);
  check_name(NameKind::key, text_field(json, "sha"), where);
  return ArtifactInfo{text_field(json, "name"),
                      text_field(json, "sha"),
                      text_field(json, "content_type"),
                      text_field(json, "ds_type"),
                      text_field(json, "location"),
                      attempt,
                      created_of(json)};
}

}  // namespace

LocalMetadataWriter::LocalMetadataWriter(std::string root, std::string flow, std::string user,
                                         const std::string& datastore_type, const std::string& datastore_root,
                                         base::Clock& clock)
    : root_(std::move(root)), flow_(std::move(flow)), user_(std::move(user)), clock_(clock), stamps_(clock) {
  artifact_tail_ = fmt::format(R"(, "type": "metaflow.artifact", "ds_type": {}, "location": {}, "ts_epoch": )",
                               json_quoted(datastore_type), json_quoted(":root:" + datastore_root));
}

std::string LocalMetadataWriter::meta_path(std::string_view object, std::string_view file) const {
  return path_below(root_, fmt::format("{}/_meta/{}", object, file));
}

std::string LocalMetadataWriter::new_run(const std::vector<std::string>& tags,
                                         const std::vector<std::string>& system_tags) {
  // The id of a run is its time in microseconds; creating the directory reserves it.
  std::string run;
  do {
    run = std::to_string(stamps_.next());
  } while (!base::make_directory(path_below(root_, flow_ + "/" + run)));
  register_run(run, tags, system_tags);
  next_task_ = 0;
  return run;
}

void LocalMetadataWriter::register_run(const std::string& run, const std::vector<std::string>& tags,
                                       const std::vector<std::string>& system_tags) {
  base::create_file(meta_path(flow_, "_self.json"), fmt::format(R"({{"flow_id": {}, "ts_epoch": {}}})",
                                                                json_quoted(flow_), milliseconds(stamps_.next())));
  base::create_file(
      meta_path(flow_ + "/" + run, "_self.json"),
      fmt::format(
          R"({{"run_number": {}, "flow_id": {}, "user_name": {}, "tags": {}, "system_tags": {}, "ts_epoch": {}}})",
          json_quoted(run), json_quoted(flow_), json_quoted(user_), json_quoted(tags), json_quoted(system_tags),
          milliseconds(stamps_.next())));
}

void LocalMetadataWriter::new_step(const std::string& run, const std::string& step) {
  base::create_file(
      meta_path(fmt::format("{}/{}/{}", flow_, run, step), "_self.json"),
      fmt::format(R"({{"run_number": {}, "step_name": {}, "flow_id": {}, "user_name": {}, "ts_epoch": {}}})",
                  json_quoted(run), json_quoted(step), json_quoted(flow_), json_quoted(user_),
                  milliseconds(stamps_.next())));
}

std::string LocalMetadataWriter::new_task(const std::string& run, const std::string& step) {
  std::string id = std::to_string(next_task_++);
  register_task({run, step, id});
  return id;
}

void LocalMetadataWriter::register_task(const TaskRef& task) {
  const std::string directory = path_below(root_, flow_ + "/" + task.path());
  base::make_directory(directory);
  base::make_directory(directory + "/_meta");
  base::create_file(
      directory + "/_meta/_self.json",
      fmt::format(
          R"({{"run_number": {}, "step_name": {}, "task_id": {}, "flow_id": {}, "user_name": {}, "ts_epoch": {}}})",
          json_quoted(task.run), json_quoted(task.step), json_quoted(task.task), json_quoted(flow_), json_quoted(user_),
          milliseconds(stamps_.next())));
}

void LocalMetadataWriter::attempt_begins(const TaskRef& task, int attempt) {
  if (attempt > 0) add_fields(task, attempt, {{"attempt", std::to_string(attempt), ""}});
}

void LocalMetadataWriter::attempt_ends(const TaskRef& task, int attempt, bool ok) {
  if (attempt == 0 && ok) return;
  // The next attempt may begin in this very millisecond, which is the name of the file. Readers take the latest file as
  // current.
  if (attempt == 0) add_fields(task, 0, {{"attempt", "0", ""}}, clock_.wall_microseconds() - 1000);
  add_fields(task, attempt, {{"attempt_ok", ok ? "True" : "False", "internal_attempt_status"}});
}

void LocalMetadataWriter::add_fields(const TaskRef& task, int attempt, const std::vector<Field>& fields) {
  add_fields(task, attempt, fields, clock_.wall_microseconds());
}

void LocalMetadataWriter::add_fields(const TaskRef& task, int attempt, const std::vector<Field>& fields,
                                     std::int64_t now) {
  const std::int64_t stamp = attempt == 0 ? coarse(now) : now;  // later attempts must have a later time
  const std::string object = flow_ + "/" + task.path();
  for (const Field& field : fields) {
    // A field that holds a list is JSON as it is (foreach-stack). All others are text.
    const std::string value = field.name == "foreach-stack" ? field.value : json_quoted(field.value);
    links_.create(
        meta_path(object, fmt::format("sysmeta_{}_{}.json", field.name, now / 1000)),
        fmt::format(R"({{"field_name": {}, "type": {}, "value": {}, "tags": ["attempt_id:{}"], "ts_epoch": {}}})",
                    json_quoted(field.name), json_quoted(field.type.empty() ? field.name : field.type), value, attempt,
                    stamp / 1000));
  }
}

void LocalMetadataWriter::add_artifacts(const TaskRef& task, const TaskData& data, std::int64_t finished) {
  const std::string object = flow_ + "/" + task.path();
  for (const ArtifactRecord& artifact : data.artifacts) {
    const std::int64_t stamp = artifact.name == "_task_ok" ? finished : coarse(finished);
    links_.create(
        meta_path(object, fmt::format("{}_artifact_{}.json", data.attempt, artifact.name)),
        fmt::format(R"({{"name": {}, "sha": {}, "content_type": {}{}{}}})", json_quoted(artifact.name),
                    json_quoted(artifact.key), json_quoted(artifact.encoding), artifact_tail_, milliseconds(stamp)));
  }
}

void LocalMetadataWriter::clone_artifacts(const TaskRef& task, const TaskRef& origin, const TaskData& data,
                                          std::int64_t finished) {
  const std::string from = flow_ + "/" + origin.path();
  const std::string to = flow_ + "/" + task.path();
  TaskData others;
  for (const ArtifactRecord& artifact : data.artifacts) {
    // The time of _task_ok is the end of the task. The origin may lack rows if its scheduler was killed.
    const bool linked =
        artifact.name != "_task_ok" &&
        base::link_file(meta_path(from, fmt::format("{}_artifact_{}.json", data.attempt, artifact.name)),
                        meta_path(to, fmt::format("0_artifact_{}.json", artifact.name)));
    if (!linked) others.artifacts.push_back(artifact);
  }
  add_artifacts(task, others, finished);
  // Without this field, readers would use the attempt of the retried origin. A clone has one attempt.
  if (data.attempt > 0) add_fields(task, 0, {{"attempt", "0", ""}});
}

// --- reading

std::vector<std::string> LocalMetadataReader::flows() {
  std::vector<std::string> names;
  for (std::string& name : base::list_directory(root_)) {
    if (is_name(NameKind::flow, name) && base::exists(fmt::format("{}/{}/_meta/_self.json", root_, name)))
      names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<RunInfo> LocalMetadataReader::run(const std::string& flow, const std::string& run) {
  const std::string path = path_below(root_, fmt::format("{}/{}/_meta/_self.json", flow, run));
  const auto text = base::read_plain_file(path, base::kMaxRecordSize);
  if (!text) return std::nullopt;
  const Json json = parse(*text, path);
  return RunInfo{run, text_field(json, "user_name"), json["tags"].texts(), json["system_tags"].texts(),
                 created_of(json)};
}

std::vector<RunInfo> LocalMetadataReader::runs(const std::string& flow) {
  std::vector<RunInfo> infos;
  for (const std::string& name : base::list_directory(path_below(root_, flow))) {
    if (!is_name(NameKind::run, name)) continue;
    if (auto info = run(flow, name)) infos.push_back(std::move(*info));
  }
  std::sort(infos.begin(), infos.end(), [](const RunInfo& a, const RunInfo& b) {
    return std::tuple(a.created, a.id.size(), a.id) > std::tuple(b.created, b.id.size(), b.id);
  });
  return infos;
}

std::optional<ObjectInfo> LocalMetadataReader::object(const std::string& path, NameKind kind, const std::string& name) {
  if (!is_name(kind, name)) return std::nullopt;
  const std::string self = fmt::format("{}/{}/_meta/_self.json", path, name);
  const auto text = base::read_plain_file(self, base::kMaxRecordSize);
  if (!text) return std::nullopt;
  return ObjectInfo{name, created_of(parse(*text, self))};
}

std::vector<ObjectInfo> LocalMetadataReader::objects(const std::string& path, NameKind kind) {
  std::vector<ObjectInfo> infos;
  for (const std::string& name : base::list_directory(path)) {
    if (auto info = object(path, kind, name)) infos.push_back(std::move(*info));
  }
  std::sort(infos.begin(), infos.end(), [](const ObjectInfo& a, const ObjectInfo& b) {  // by time, then by number
    return std::tuple(a.created, a.id.size(), a.id) < std::tuple(b.created, b.id.size(), b.id);
  });
  return infos;
}

std::vector<ObjectInfo> LocalMetadataReader::steps(const std::string& flow, const std::string& run) {
  return objects(path_below(root_, flow + "/" + run), NameKind::step);
}

std::vector<ObjectInfo> LocalMetadataReader::tasks(const std::string& flow, const std::string& run,
                                                   const std::string& step) {
  return objects(path_below(root_, fmt::format("{}/{}/{}", flow, run, step)), NameKind::task);
}

std::optional<ObjectInfo> LocalMetadataReader::flow(const std::string& flow) {
  return object(root_, NameKind::flow, flow);
}

std::optional<ObjectInfo> LocalMetadataReader::step(const std::string& flow, const std::string& run,
                                                    const std::string& step) {
  return object(path_below(root_, flow + "/" + run), NameKind::step, step);
}

std::optional<ObjectInfo> LocalMetadataReader::task(const std::string& flow, const TaskRef& task) {
  return object(path_below(root_, fmt::format("{}/{}/{}", flow, task.run, task.step)), NameKind::task, task.task);
}

std::vector<FieldInfo> LocalMetadataReader::fields(const std::string& flow, const TaskRef& task) {
  std::vector<FieldInfo> infos;
  const std::string directory = path_below(root_, fmt::format("{}/{}/_meta", flow, task.path()));
  for (const std::string& name : base::list_directory(directory)) {
    if (!name.starts_with("sysmeta_")) continue;
    const auto text = base::read_plain_file(directory + "/" + name, base::kMaxRecordSize);
    if (!text) continue;
    const Json json = parse(*text, directory + "/" + name);
    FieldInfo info;
    info.name = text_field(json, "field_name");
    info.value = text_field(json, "value");
    info.is_json = !json["value"].is_text();
    info.type = text_field(json, "type");
    info.created = created_of(json);
    for (const std::string& tag : json["tags"].texts()) {
      if (tag.starts_with("attempt_id:")) info.attempt = std::atoi(tag.c_str() + 11);
    }
    infos.push_back(std::move(info));
  }
  std::sort(infos.begin(), infos.end(), [](const FieldInfo& a, const FieldInfo& b) { return a.created < b.created; });
  return infos;
}

int LocalMetadataReader::finished_attempt(const std::string& directory, const std::vector<std::string>& names) {
  int attempt = -1;
  for (const std::string& name : names) {
    if (!name.starts_with("sysmeta_attempt-done_")) continue;
    const auto text = base::read_plain_file(directory + "/" + name, base::kMaxRecordSize);
    if (text) attempt = std::max(attempt, std::atoi(text_field(parse(*text, directory + "/" + name), "value").c_str()));
  }
  return attempt;
}

std::vector<ArtifactInfo> LocalMetadataReader::artifacts(const std::string& flow, const TaskRef& task, int attempt) {
  const std::string directory = path_below(root_, fmt::format("{}/{}/_meta", flow, task.path()));
  const auto names = base::list_directory(directory);
  if (attempt < 0) attempt = finished_attempt(directory, names);
  std::vector<ArtifactInfo> infos;
  const std::string prefix = fmt::format("{}_artifact_", attempt);
  for (const std::string& name : names) {
    if (!name.starts_with(prefix)) continue;
    if (auto info = artifact_in(directory + "/" + name, attempt)) infos.push_back(std::move(*info));
  }
  std::sort(infos.begin(), infos.end(), [](const ArtifactInfo& a, const ArtifactInfo& b) { return a.name < b.name; });
  return infos;
}

std::optional<ArtifactInfo> LocalMetadataReader::artifact(const std::string& flow, const TaskRef& task, int attempt,
                                                          const std::string& name) {
  if (!is_name(NameKind::artifact, name)) return std::nullopt;
  const std::string directory = path_below(root_, fmt::format("{}/{}/_meta", flow, task.path()));
  if (attempt < 0) attempt = finished_attempt(directory, base::list_directory(directory));
  return artifact_in(fmt::format("{}/{}_artifact_{}.json", directory, attempt, name), attempt);
}

std::vector<std::string> LocalMetadataReader::edit_tags(const std::string& flow, const std::string& run,
                                                        const std::vector<std::string>& add,
                                                        const std::vector<std::string>& remove) {
  const std::string directory = path_below(root_, fmt::format("{}/{}/_meta", flow, run));
  if (!base::exists(directory + "/_self.json"))
    throw Error(ErrorCode::not_found, fmt::format("No run {}/{} found", flow, run));
  // If two processes edit at a time, the second waits.
  const base::Fd lock = base::open_plain_file(directory + "/.tags.lock", O_CREAT | O_RDWR);
  // Some network file systems have no locks. Then, of two simultaneous edits, one may be lost.
  if (::flock(lock.get(), LOCK_EX) != 0 && errno != ENOSYS && errno != ENOLCK && errno != EOPNOTSUPP)
    base::throw_errno("lock the tags in", directory, errno);

  const auto text = base::read_plain_file(directory + "/_self.json", base::kMaxRecordSize);
  if (!text) throw Error(ErrorCode::not_found, fmt::format("Run {}/{} was removed", flow, run));
  Json json = parse(*text, directory + "/_self.json");
  const auto system_tags = json["system_tags"].texts();
  std::set<std::string> tags;
  for (std::string& tag : json["tags"].texts()) tags.insert(std::move(tag));
  std::vector<std::string> refused;
  for (const std::string& tag : remove) {
    if (std::find(system_tags.begin(), system_tags.end(), tag) != system_tags.end()) refused.push_back("'" + tag + "'");
    tags.erase(tag);
  }
  if (!refused.empty()) {
    throw Error(ErrorCode::tagging,
                fmt::format("Cannot remove a tag that is an existing system tag ([{}])", base::join(refused, ", ")));
  }
  for (const std::string& tag : add) {
    if (std::find(system_tags.begin(), system_tags.end(), tag) == system_tags.end()) tags.insert(tag);
  }
  std::vector<std::string> sorted(tags.begin(), tags.end());
  check_tags(sorted);
  json.set("tags", sorted);
  base::replace_file(directory + "/_self.json", json.sorted().dump());
  return sorted;
}

}  // namespace metaflow::store
