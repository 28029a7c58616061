// What clients and the UI know about runs: the flows, runs, steps and tasks, their metadata, artifacts and tags.
// Metaflow's metadata providers: "local" keeps JSON files, "service" uses the metadata service.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/task_data.h"

namespace metaflow::store {

/// One metadatum: Metaflow calls the name field_name. Types: "attempt", "attempt-done", "ds-type", ...; often the same
/// as the name.
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

struct ObjectInfo {  // a flow, a step or a task
  std::string id;
  std::int64_t created = 0;
};

struct FieldInfo : Field {
  bool is_json = false;  // the value is JSON that is not a text
  int attempt = -1;      // -1: unknown
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

/// The scheduler's side: writes metadata, and assigns ids. Throws Error{data_store, metadata_service}. Not thread-safe.
///
/// When a function returns, its data may still be on the way to a service, which the scheduler's event loop drives. A
/// writer that writes synchronously is always ready() and idle().
class MetadataWriter {
 public:
  virtual ~MetadataWriter() = default;

  virtual std::string new_run(const std::vector<std::string>& tags, const std::vector<std::string>& system_tags) = 0;
  /// Registers a run or task that already has an id. Does nothing if it exists.
  virtual void register_run(const std::string& run, const std::vector<std::string>& tags,
                            const std::vector<std::string>& system_tags) = 0;
  virtual void register_task(const TaskRef& task) = 0;

  virtual void new_step(const std::string& run, const std::string& step) = 0;
  /// This many more tasks of the step will be made.
  virtual void expect_tasks(const std::string& /*run*/, const std::string& /*step*/, std::size_t /*tasks*/) {}
  /// Whether a task may be made now. If not, the loop wakes up when that may have changed. `soon`: how many tasks would
  /// be made now.
  virtual bool ready(const std::string& /*run*/, const std::string& /*step*/, std::size_t /*soon*/) { return true; }
  /// Makes a task of a step that is ready; returns its id, a number. Ids increase over all steps of a run.
  virtual std::string new_task(const std::string& run, const std::string& step) = 0;

  /// These two write the fields `attempt` and `attempt_ok`, as far as the readers of this provider need them. Between
  /// the two calls, the writer sends heartbeats of the attempt if the provider has them.
  virtual void attempt_begins(const TaskRef& /*task*/, int /*attempt*/) {}
  virtual void attempt_ends(const TaskRef& /*task*/, int /*attempt*/, bool /*ok*/) {}
  virtual void add_fields(const TaskRef& task, int attempt, const std::vector<Field>& fields) = 0;
  /// Writes the artifacts of an attempt, as data.json lists them. `finished`: the time of `_task_ok`, which is the end
  /// of the task.
  virtual void add_artifacts(const TaskRef& task, const TaskData& data, std::int64_t finished) = 0;
  /// Writes the artifacts of a clone; `data` is the result of the origin's attempt. Also writes `attempt` and
  /// `attempt_ok` of the clone, which has one attempt.
  virtual void clone_artifacts(const TaskRef& task, const TaskRef& origin, const TaskData& data,
                               std::int64_t finished) = 0;

  /// Whether everything is written. If not, the loop wakes up when that may have changed.
  virtual bool idle() { return true; }
};

/// The client's side: reads metadata. Returns nothing or an empty list for unknown objects. Throws Error{data_store,
/// metadata_service}. Not thread-safe.
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
  /// The artifacts of one attempt; -1: of the last finished attempt.
  virtual std::vector<ArtifactInfo> artifacts(const std::string& flow, const TaskRef& task, int attempt) = 0;

  // One object each: nothing if it does not exist.
  virtual std::optional<ObjectInfo> flow(const std::string& flow) = 0;
  virtual std::optional<ObjectInfo> step(const std::string& flow, const std::string& run, const std::string& step) = 0;
  virtual std::optional<ObjectInfo> task(const std::string& flow, const TaskRef& task) = 0;
  virtual std::optional<ArtifactInfo> artifact(const std::string& flow, const TaskRef& task, int attempt,
                                               const std::string& name) = 0;
};

/// Adds and removes user tags of a run; returns all user tags of the run, sorted. Throws Error{tagging} for a tag that
/// breaks a rule and Error{not_found} if the run does not exist.
class TagEditor {
 public:
  virtual ~TagEditor() = default;
  virtual std::vector<std::string> edit_tags(const std::string& flow, const std::string& run,
                                             const std::vector<std::string>& add,
                                             const std::vector<std::string>& remove) = 0;
};

/// Reads the metadata of existing runs, and edits their tags.
class Metadata : public MetadataReader, public TagEditor {};

/// Metaflow's rules: not empty, at most 500 characters of UTF-8, at most 50 per run. Throws Error{tagging}.
void check_tags(const std::vector<std::string>& tags);

}  // namespace metaflow::store
