// What the clients and the UI know of runs: which flows, runs, steps and tasks there are, their metadata, artifacts and
// tags. Metaflow's metadata providers: "local" keeps JSON files, "service" talks to the metadata service.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/task_data.h"

namespace metaflow::store {

/// One metadatum: Metaflow calls the name field_name. Types: "attempt", "attempt-done", "ds-type", ...; often the name
/// again.
struct Field {
  std::string name;
  std::string value;
  std::string type;
};

struct RunInfo {
  std::string id;
  std::string user;
  std::vector<std::string> tags;
  std::vector<std::string> system_tags;
  std::int64_t created = 0;  // microseconds since 1970
};

struct ObjectInfo {  // a step or a task
  std::string id;
  std::int64_t created = 0;
};

struct FieldInfo : Field {
  int attempt = -1;  // -1: unknown
  std::int64_t created = 0;
};

struct ArtifactInfo {
  std::string name;
  std::string key;
  std::string encoding;
  std::string datastore;  // "local"
  std::string location;   // ":root:/path/.metaflow"
  int attempt = 0;
  std::int64_t created = 0;
};

/// Writes: the scheduler's side. Ids come from here. Throws Error{data_store}. Not thread-safe.
class MetadataWriter {
 public:
  virtual ~MetadataWriter() = default;

  virtual std::string new_run(const std::vector<std::string>& tags, const std::vector<std::string>& system_tags) = 0;
  virtual void new_step(const std::string& run, const std::string& step) = 0;
  /// A new task; its id. Ids count up from 0 over all steps of a run.
  virtual std::string new_task(const std::string& run, const std::string& step) = 0;
  virtual void add_fields(const TaskRef& task, int attempt, const std::vector<Field>& fields) = 0;
  /// The artifacts of an attempt, as data.json lists them. `finished`: the time of `_task_ok`, which is when the task
  /// finished.
  virtual void add_artifacts(const TaskRef& task, const TaskData& data, std::int64_t finished) = 0;
  /// The artifacts of a task that is a clone of another: `data` is what the other's attempt left.
  virtual void clone_artifacts(const TaskRef& task, const TaskRef& origin, const TaskData& data,
                               std::int64_t finished) = 0;
};

/// Reads: the client's side. Unknown objects are nothing or empty. Throws Error{data_store}. Not thread-safe.
class MetadataReader {
 public:
  virtual ~MetadataReader() = default;

  virtual std::vector<std::string> flows() = 0;
  virtual std::vector<RunInfo> runs(const std::string& flow) = 0;  // newest first
  virtual std::optional<RunInfo> run(const std::string& flow, const std::string& run) = 0;
  virtual std::vector<ObjectInfo> steps(const std::string& flow,
                                        const std::string& run) = 0;  // in the order in which they began
  virtual std::vector<ObjectInfo> tasks(const std::string& flow, const std::string& run, const std::string& step) = 0;
  virtual std::vector<FieldInfo> fields(const std::string& flow, const TaskRef& task) = 0;
  /// Of one attempt; of the last finished one if -1.
  virtual std::vector<ArtifactInfo> artifacts(const std::string& flow, const TaskRef& task, int attempt) = 0;
};

/// Adds and removes user tags of a run; gives back the new ones, sorted. Throws Error{tagging} for what breaks a rule
/// and Error{not_found} if there is no such run.
class TagEditor {
 public:
  virtual ~TagEditor() = default;
  virtual std::vector<std::string> edit_tags(const std::string& flow, const std::string& run,
                                             const std::vector<std::string>& add,
                                             const std::vector<std::string>& remove) = 0;
};

/// Metaflow's rules: not empty, at most 500 characters of UTF-8, at most 50 per run. Throws Error{tagging}.
void check_tags(const std::vector<std::string>& tags);

}  // namespace metaflow::store
