// Metadata as JSON files in `_meta` directories: Metaflow's "local" provider.
#pragma once

#include <memory>
#include <set>

#include "base/clock.h"
#include "store/local/link_pool.h"
#include "store/metadata.h"

namespace metaflow::store {

class LocalMetadataWriter : public MetadataWriter {
 public:
  /// `root`: the .metaflow directory. `datastore_type`, `datastore_root`: where the artifacts are.
  LocalMetadataWriter(std::string root, std::string flow, std::string user, const std::string& datastore_type,
                      const std::string& datastore_root, base::Clock& clock);

  std::string new_run(const std::vector<std::string>& tags, const std::vector<std::string>& system_tags) override;
  void register_run(const std::string& run, const std::vector<std::string>& tags,
                    const std::vector<std::string>& system_tags) override;
  void register_task(const TaskRef& task) override;
  void new_step(const std::string& run, const std::string& step) override;
  std::string new_task(const std::string& run, const std::string& step) override;
  /// For attempt 0, nothing is written unless it fails: each field costs a file per task, and readers assume attempt 0
  /// for a task without this field.
  void attempt_begins(const TaskRef& task, int attempt) override;
  void attempt_ends(const TaskRef& task, int attempt, bool ok) override;
  void add_fields(const TaskRef& task, int attempt, const std::vector<Field>& fields) override;
  void add_artifacts(const TaskRef& task, const TaskData& data, std::int64_t finished) override;
  void clone_artifacts(const TaskRef& task, const TaskRef& origin, const TaskData& data,
                       std::int64_t finished) override;

 private:
  /// `now`: microseconds since 1970, the time of the fields.
  void add_fields(const TaskRef& task, int attempt, const std::vector<Field>& fields, std::int64_t now);
  /// The path of a metadata file of an object: "F/17/start/1".
  std::string meta_path(std::string_view object, std::string_view file) const;

  std::string root_;
  std::string flow_;
  std::string user_;
  std::string artifact_tail_;  // the part of an artifact's row that is the same for all
  base::Clock& clock_;
  base::Stamps stamps_;
  LinkPool links_;
  std::uint64_t next_task_ = 0;
};

class LocalMetadataReader : public Metadata {
 public:
  explicit LocalMetadataReader(std::string root) : root_(std::move(root)) {}

  std::vector<std::string> flows() override;
  std::vector<RunInfo> runs(const std::string& flow) override;
  std::optional<RunInfo> run(const std::string& flow, const std::string& run) override;
  std::vector<ObjectInfo> steps(const std::string& flow, const std::string& run) override;
  std::vector<ObjectInfo> tasks(const std::string& flow, const std::string& run, const std::string& step) override;
  std::vector<FieldInfo> fields(const std::string& flow, const TaskRef& task) override;
  std::vector<ArtifactInfo> artifacts(const std::string& flow, const TaskRef& task, int attempt) override;
  std::optional<ObjectInfo> flow(const std::string& flow) override;
  std::optional<ObjectInfo> step(const std::string& flow, const std::string& run, const std::string& step) override;
  std::optional<ObjectInfo> task(const std::string& flow, const TaskRef& task) override;
  std::optional<ArtifactInfo> artifact(const std::string& flow, const TaskRef& task, int attempt,
                                       const std::string& name) override;
  std::vector<std::string> edit_tags(const std::string& flow, const std::string& run,
                                     const std::vector<std::string>& add,
                                     const std::vector<std::string>& remove) override;

 private:
  std::optional<ObjectInfo> object(const std::string& path, NameKind kind, const std::string& name);
  std::vector<ObjectInfo> objects(const std::string& path, NameKind kind);
  /// The last finished attempt of a task by the files of its directory _meta; -1 if there is none.
  int finished_attempt(const std::string& directory, const std::vector<std::string>& names);

  std::string root_;
};

}  // namespace metaflow::store
