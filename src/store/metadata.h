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

/// Writes: the scheduler's side. Ids come from here. Throws Error{data_store, metadata_service}. Not thread-safe.
///
/// What is written may only be on its way when a function returns: to a service, which the scheduler's event loop talks
/// to. A writer that has written at once is always ready() and idle().
class MetadataWriter {
 public:
  virtual ~MetadataWriter() = default;

  virtual std::string new_run(const std::vector<std::string>& tags, const std::vector<std::string>& system_tags) = 0;
  /// A run or task whose id somebody else chose; one that exists is left as it is.
  virtual void register_run(const std::string& run, const std::vector<std::string>& tags,
                            const std::vector<std::string>& system_tags) = 0;
  virtual void register_task(const TaskRef& task) = 0;

  virtual void new_step(const std::string& run, const std::string& step) = 0;
  /// That many more tasks of the step will be made.
  virtual void expect_tasks(const std::string& /*run*/, const std::string& /*step*/, std::size_t /*tasks*/) {}
  /// Whether a task may be made now. If not, the loop wakes up when that may have changed. `soon`: how many would be
  /// made now.
  virtual bool ready(const std::string& /*run*/, const std::string& /*step*/, std::size_t /*soon*/) { return true; }
  /// A new task, of a step that is ready; its id, which is a number. Those of a run go up over all its steps.
  virtual std::string new_task(const std::string& run, const std::string& step) = 0;

  /// These two write the fields `attempt` and `attempt_ok`, as far as the readers of this provider need them. Between
  /// them, the writer sees to it that the attempt is known to be alive.
  virtual void attempt_begins(const TaskRef& /*task*/, int /*attempt*/) {}
  virtual void attempt_ends(const TaskRef& /*task*/, int /*attempt*/, bool /*ok*/) {}
  virtual void add_fields(const TaskRef& task, int attempt, const std::vector<Field>& fields) = 0;
  /// The artifacts of an attempt, as data.json lists them. `finished`: the time of `_task_ok`, which is when the task
  /// finished.
  virtual void add_artifacts(const TaskRef& task, const TaskData& data, std::int64_t finished) = 0;
  /// The artifacts of a task that is a clone of another: `data` is what the other's attempt left. Also `attempt` and
  /// `attempt_ok` of the clone, which has one attempt.
  virtual void clone_artifacts(const TaskRef& task, const TaskRef& origin, const TaskData& data,
                               std::int64_t finished) = 0;

  /// Whether all is written. If not, the loop wakes up when that may have changed.
  virtual bool idle() { return true; }
};

/// Reads: the client's side. Unknown objects are nothing or empty. Throws Error{data_store, metadata_service}. Not
/// thread-safe.
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

/// All that can be asked of runs that there are.
class Metadata : public MetadataReader, public TagEditor {};

/// Metaflow's rules: not empty, at most 500 characters of UTF-8, at most 50 per run. Throws Error{tagging}.
void check_tags(const std::vector<std::string>& tags);

}  // namespace metaflow::store
