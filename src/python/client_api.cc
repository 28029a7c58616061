#include "python/client_api.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/settings.h"
#include "base/text.h"
#include "client/connection.h"
#include "python/c_errors.h"
#include "store/mflog.h"
#include "store/names.h"
#include "store/open.h"

using metaflow::Error;
using metaflow::ErrorCode;
using metaflow::base::Json;
using metaflow::base::SharedBytes;
using metaflow::client::Connection;
using metaflow::python::guarded;
namespace store = metaflow::store;

struct metaflow_client {
  metaflow_client(const std::string& provider, const std::string& place, const metaflow::base::Settings& settings)
      : connection(provider, place, ""), user(metaflow::base::user_name(settings)) {}

  const char* answer(const Json& json) {
    text = json.dump();
    return text.c_str();
  }

  Connection connection;
  std::string user;
  std::string text;  // of the last answer
};

struct metaflow_content {
  SharedBytes bytes;
};

namespace {

/// The parts of a pathspec; nothing if one is not a valid name.
std::optional<std::vector<std::string>> parts_of(const char* pathspec) {
  using store::NameKind;
  constexpr std::array kKinds{NameKind::flow, NameKind::run, NameKind::step, NameKind::task};
  auto parts = *pathspec == '\0' ? std::vector<std::string>() : metaflow::base::split(pathspec, '/');
  if (parts.size() > kKinds.size()) return std::nullopt;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!is_name(kKinds[i], parts[i])) return std::nullopt;
  }
  return parts;
}

struct TaskPath {
  std::string flow;
  store::TaskRef task;
};

std::optional<TaskPath> task_of(const char* pathspec) {
  auto parts = parts_of(pathspec);
  if (!parts || parts->size() != 4) return std::nullopt;
  return TaskPath{(*parts)[0], {(*parts)[1], (*parts)[2], (*parts)[3]}};
}

Json with_tags(const std::optional<store::RunInfo>& run) {
  Json json = Json::object();
  json.add("tags", run ? run->tags : std::vector<std::string>());
  json.add("system_tags", run ? run->system_tags : std::vector<std::string>());
  return json;
}

Json rows_of(const std::vector<store::ObjectInfo>& objects) {
  Json rows = Json::list();
  for (const auto& object : objects) rows.push_back(Json::list({object.id, object.created}));
  return rows;
}

Json object_of(store::Metadata& metadata, const std::vector<std::string>& parts) {
  const std::string& flow = parts.at(0);
  std::optional<store::RunInfo> run;
  std::int64_t created = 0;
  if (parts.size() > 1) {
    run = metadata.run(flow, parts[1]);
    if (!run) return {};
    created = run->created;
  }
  if (parts.size() != 2) {
    std::optional<store::ObjectInfo> info;
    if (parts.size() == 1) info = metadata.flow(flow);
    if (parts.size() == 3) info = metadata.step(flow, parts[1], parts[2]);
    if (parts.size() == 4) info = metadata.task(flow, {parts[1], parts[2], parts[3]});
    if (!info) return {};
    created = info->created;
  }
  Json json = with_tags(run);
  json.add("created", created);
  return json;
}

Json children_of(store::Metadata& metadata, const std::vector<std::string>& parts) {
  Json rows = Json::list();
  std::optional<store::RunInfo> run;
  if (parts.empty()) {
    for (const std::string& name : metadata.flows()) {
      if (const auto flow = metadata.flow(name)) rows.push_back(Json::list({flow->id, flow->created}));
    }
  } else if (parts.size() == 1) {
    for (const store::RunInfo& each : metadata.runs(parts[0]))
      rows.push_back(Json::list({each.id, each.created, each.tags, each.system_tags}));
  } else {
    run = metadata.run(parts[0], parts[1]);
    if (run)
      rows = rows_of(parts.size() == 2 ? metadata.steps(parts[0], parts[1])
                                       : metadata.tasks(parts[0], parts[1], parts[2]));
  }
  Json json = with_tags(run);
  json.add("rows", std::move(rows));
  return json;
}

/// The store of an artifact, or of a log.
const store::FlowStore& store_of(Connection& connection, const std::string& flow, const char* datastore,
                                 const char* location) {
  store::ArtifactInfo info;
  info.datastore = datastore;
  info.location = location;
  return connection.flow(flow, connection.place(info));
}

std::vector<SharedBytes> logs_of(Connection& connection, const TaskPath& path, int attempt, const char* datastore,
                                 const char* root, bool is_error) {
  std::vector<SharedBytes> logs;
  const auto& flow = connection.flow(path.flow, connection.place(datastore, root));
  for (const auto source : {store::LogSource::runtime, store::LogSource::task}) {
    auto log = flow.read_log(path.task, attempt, source, is_error ? store::Stream::err : store::Stream::out);
    if (log) logs.push_back(std::move(*log));
  }
  return logs;
}

std::vector<std::string> texts_of(const char* json) { return Json::parse_or_throw(json).texts(); }

metaflow_content* content_of(SharedBytes bytes, metaflow_bytes* into) {
  auto content = std::make_unique<metaflow_content>(metaflow_content{std::move(bytes)});
  *into = {content->bytes.bytes().data(), content->bytes.size()};
  return content.release();
}

constexpr const char* kIncludedFile = "<class 'metaflow.includefile.IncludedFile'>";
constexpr const char* kNoText = nullptr;
constexpr metaflow_content* kNoContent = nullptr;

}  // namespace

metaflow_client* metaflow_client_open(const char* provider, const char* place) {
  return guarded(static_cast<metaflow_client*>(nullptr), [&] {
    const metaflow::base::Settings settings;
    std::string name = provider;
    if (name.empty()) name = settings.get("DEFAULT_METADATA", "local");
    std::string where = place;
    bool is_new = false;
    if (where.empty() && name == "service") where = settings.get("SERVICE_URL", "");
    if (where.empty() && name == "local") where = metaflow::base::local_root(settings, is_new);
    return new metaflow_client(name, where, settings);
  });
}

void metaflow_client_close(metaflow_client* client) { delete client; }

const char* metaflow_client_facts(metaflow_client* client) {
  return guarded(kNoText, [&] {
    return client->answer(
        {{"provider", client->connection.provider()}, {"place", client->connection.root()}, {"user", client->user}});
  });
}

const char* metaflow_client_object(metaflow_client* client, const char* pathspec) {
  return guarded(kNoText, [&] {
    const auto parts = parts_of(pathspec);
    return client->answer(parts && !parts->empty() ? object_of(client->connection.metadata(), *parts) : Json());
  });
}

const char* metaflow_client_children(metaflow_client* client, const char* pathspec) {
  return guarded(kNoText, [&] {
    const auto parts = parts_of(pathspec);
    return client->answer(parts && parts->size() < 4 ? children_of(client->connection.metadata(), *parts) : Json());
  });
}

const char* metaflow_client_artifacts(metaflow_client* client, const char* pathspec, int attempt, const char* name) {
  return guarded(kNoText, [&] {
    const auto path = task_of(pathspec);
    auto& metadata = client->connection.metadata();
    std::vector<store::ArtifactInfo> artifacts;
    if (path && *name == '\0') artifacts = metadata.artifacts(path->flow, path->task, attempt);
    if (path && is_name(store::NameKind::artifact, name)) {
      if (auto one = metadata.artifact(path->flow, path->task, attempt, name)) artifacts.push_back(std::move(*one));
    }
    Json rows = Json::list();
    for (const auto& each : artifacts)
      rows.push_back(Json::list({each.name, each.created, each.key, each.datastore, each.location, each.attempt}));
    Json json = with_tags(path && !artifacts.empty() ? metadata.run(path->flow, path->task.run) : std::nullopt);
    json.add("rows", std::move(rows));
    return client->answer(json);
  });
}

const char* metaflow_client_fields(metaflow_client* client, const char* pathspec) {
  return guarded(kNoText, [&] {
    Json rows = Json::list();
    if (const auto path = task_of(pathspec)) {
      for (const auto& each : client->connection.metadata().fields(path->flow, path->task)) {
        Json value = each.is_json ? Json::parse(each.value).value_or(Json()) : Json(each.value);
        rows.push_back(Json::list({each.name, std::move(value), each.type, each.attempt, each.created}));
      }
    }
    return client->answer(rows);
  });
}

const char* metaflow_client_edit_tags(metaflow_client* client, const char* pathspec, const char* add,
                                      const char* remove) {
  return guarded(kNoText, [&] {
    const auto parts = parts_of(pathspec);
    if (!parts || parts->size() != 2) throw Error(ErrorCode::not_found, fmt::format("'{}' is not a run", pathspec));
    return client->answer(
        client->connection.metadata().edit_tags((*parts)[0], (*parts)[1], texts_of(add), texts_of(remove)));
  });
}

metaflow_content* metaflow_client_value(metaflow_client* client, const char* flow, const char* key,
                                        const char* datastore, const char* location, int is_file,
                                        metaflow_bytes* into) {
  return guarded(kNoContent, [&] {
    store::check_name(store::NameKind::key, key, "the metadata of an artifact");
    const auto& values = store_of(client->connection, flow, datastore, location);
    if (is_file == 0) return content_of(values.load_value(key, 0, ""), into);
    auto file = get(values.storage(), values.value_path(key));
    if (!file) throw Error(ErrorCode::data_missing, fmt::format("{} is missing in the store", values.value_path(key)));
    return content_of(std::move(*file), into);
  });
}

metaflow_content* metaflow_client_file(metaflow_client*, const char* url, metaflow_bytes* into) {
  return guarded(kNoContent, [&] {
    std::string_view path = url;
    std::optional<SharedBytes> bytes;
    if (path.starts_with("s3://")) {
      const std::size_t slash = path.rfind('/');
      bytes = get(*store::open_storage("s3", std::string(path.substr(0, slash))), std::string(path.substr(slash + 1)));
    } else {
      if (path.starts_with("local://")) path.remove_prefix(std::string_view("local://").size());
      bytes = metaflow::base::read_file(std::string(path));
    }
    if (!bytes) throw Error(ErrorCode::data_missing, fmt::format("{} does not exist", url));
    return content_of(std::move(*bytes), into);
  });
}

int64_t metaflow_client_size(metaflow_client* client, const char* pathspec, int attempt, const char* name,
                             const char* key, const char* datastore, const char* location) {
  return guarded(std::int64_t{-1}, [&] {
    store::check_name(store::NameKind::key, key, "the metadata of an artifact");
    const auto path = task_of(pathspec);
    if (!path) throw Error(ErrorCode::not_found, fmt::format("'{}' is not a task", pathspec));
    const auto& values = store_of(client->connection, path->flow, datastore, location);
    const auto data = values.read_attempt(path->task, attempt);
    const auto* record = data ? data->find(name) : nullptr;
    if (record != nullptr && record->type == kIncludedFile) return std::int64_t{METAFLOW_INCLUDED_FILE};
    if (record != nullptr && record->size != 0) return static_cast<std::int64_t>(record->size);
    return static_cast<std::int64_t>(values.load_value(key, 0, name).size());
  });
}

metaflow_content* metaflow_client_log(metaflow_client* client, const char* pathspec, int attempt, const char* datastore,
                                      const char* root, int is_error, metaflow_bytes* into) {
  return guarded(kNoContent, [&] {
    std::string text;
    if (const auto path = task_of(pathspec)) {
      const auto logs = logs_of(client->connection, *path, attempt, datastore, root, is_error != 0);
      std::vector<std::string_view> texts;
      for (const auto& log : logs) texts.push_back(log.text());
      for (const auto& line : store::merge_logs(texts)) {
        if (!line.time.empty()) text += std::to_string(store::microseconds_of_log_time(line.time));
        text += ' ';
        text += line.text;
        text += '\n';
      }
    }
    return content_of(SharedBytes(std::move(text)), into);
  });
}

int64_t metaflow_client_log_size(metaflow_client* client, const char* pathspec, int attempt, const char* datastore,
                                 const char* root, int is_error) {
  return guarded(std::int64_t{-1}, [&] {
    std::int64_t size = 0;
    if (const auto path = task_of(pathspec)) {
      for (const auto& log : logs_of(client->connection, *path, attempt, datastore, root, is_error != 0))
        size += static_cast<std::int64_t>(log.size());
    }
    return size;
  });
}

void metaflow_content_free(metaflow_content* content) { delete content; }
