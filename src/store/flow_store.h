// The runs of one flow in a storage: blobs and the files of tasks, in Metaflow's layout (docs/format.md).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "store/exit_report.h"
#include "store/storage.h"
#include "store/task_data.h"

namespace metaflow::store {

/// An object of a run whose removal has begun: from then on, the run does not exist for any command.
inline constexpr std::string_view kRemovedMark = "removed.json";

/// Metaflow counts at most this many attempts of a task.
inline constexpr int kMaxAttempts = 6;

enum class LogSource : std::uint8_t { runtime, task };  // written by the scheduler, or by the task's supervisor
enum class Stream : std::uint8_t { out, err };

std::string_view name_of(LogSource source);             // "runtime"
std::string_view name_of(Stream stream);                // "stdout"
std::string log_name(LogSource source, Stream stream);  // "task_stdout.log"

/// Throws Error{data_store, data_missing}. Not thread-safe.
class FlowStore {
 public:
  FlowStore(std::shared_ptr<Storage> storage, std::string flow)
      : storage_(std::move(storage)), flow_(std::move(flow)) {}

  Storage& storage() const { return *storage_; }
  const std::string& flow() const { return flow_; }

  // --- values

  /// Stores a payload; returns its key.
  std::string save_value(Pieces payload, int spool_file = -1);
  /// The unpacked payload of a key. `size`: the expected size, 0 if unknown.
  base::SharedBytes load_value(const std::string& key, std::uint64_t size, std::string_view what) const;
  std::vector<base::SharedBytes> load_values(std::span<const ArtifactRecord* const> artifacts) const;
  std::string run_path(const std::string& run) const { return flow_ + "/" + run; }
  std::string blob_directory() const { return flow_ + "/data"; }
  std::string value_path(const std::string& key) const { return blob_path(blob_directory(), key); }
  /// The payload of an artifact from its blob as it is in the storage.
  base::SharedBytes unpacked(std::optional<base::SharedBytes>&& blob, const ArtifactRecord& artifact) const {
    return payload_of(std::move(blob), artifact.key, artifact.size, artifact.name);
  }

  // --- tasks

  /// The newest attempt that has a begin mark.
  std::optional<int> latest_attempt(const TaskRef& task) const;
  bool is_done(const TaskRef& task, int attempt) const;
  /// The result of an attempt, with or without a done mark; nothing if it has no data.json.
  std::optional<TaskData> read_attempt(const TaskRef& task, int attempt) const;
  /// The result of the newest attempt; nothing if that attempt has no done mark.
  std::optional<TaskData> read_done(const TaskRef& task) const;
  std::vector<std::optional<TaskData>> read_done(std::span<const TaskRef> tasks) const;

  /// The input tasks of a task as one text, for a task with too many inputs for its command line. Throws
  /// Error{data_missing} if the list does not exist.
  OwnedObject inputs(const TaskRef& task, std::string packed) const;
  std::string read_inputs(const TaskRef& task) const;

  /// The begin mark and the done mark of an attempt.
  OwnedObject begin_mark(const TaskRef& task, int attempt, std::int64_t microseconds) const;
  OwnedObject done_mark(const TaskRef& task, int attempt) const;
  void begin_attempt(const TaskRef& task, int attempt, std::int64_t microseconds) {
    put(*storage_, begin_mark(task, attempt, microseconds));
  }
  void mark_done(const TaskRef& task, int attempt) { put(*storage_, done_mark(task, attempt)); }
  void write_data(const TaskRef& task, const TaskData& data);
  /// The path of the file that read_attempt() reads.
  std::string data_path(const TaskRef& task, int attempt) const { return attempt_path(task, attempt, "data.json"); }

  /// A task that gets the result of a finished attempt as its attempt 0. No blob is copied.
  struct Clone {
    TaskRef from;
    TaskRef to;
    const TaskData* data;  // the result of `from`, with details even if Python wrote it
  };
  void clone_attempts(std::span<const Clone> clones);
  /// Per task, why a value cannot be used (it is missing or truncated); nothing if all can. Keys of intact values are
  /// added to `good`.
  std::vector<std::optional<std::string>> find_damage(std::span<const TaskData> tasks,
                                                      std::unordered_set<std::string>& good) const;

  // --- logs

  void write_log(const TaskRef& task, int attempt, LogSource source, Stream stream, Pieces content);
  OwnedObject log(const TaskRef& task, int attempt, LogSource source, Stream stream, base::SharedBytes content) const;
  std::optional<base::SharedBytes> read_log(const TaskRef& task, int attempt, LogSource source, Stream stream) const;

  /// The supervisor's report on the end of an attempt; nothing if it could not write one.
  void write_exit_report(const TaskRef& task, int attempt, const ExitReport& report);
  std::optional<ExitReport> read_exit_report(const TaskRef& task, int attempt) const;

  /// An object of an attempt, by its name: "exit.json".
  struct AttemptObject {
    TaskRef task{};
    int attempt = 0;
    std::string name{};
  };
  /// The contents of objects, read together; nothing for those that do not exist.
  std::vector<std::optional<base::SharedBytes>> read_objects(std::span<const AttemptObject> which) const;

  // --- listing

  /// False for a run whose removal has begun.
  bool has_run(const std::string& run) const;
  std::vector<std::string> steps(const std::string& run) const;
  std::vector<std::string> tasks(const std::string& run, const std::string& step) const;

 private:
  base::SharedBytes payload_of(std::optional<base::SharedBytes>&& blob, const std::string& key, std::uint64_t size,
                               std::string_view what) const;
  std::string task_path(const TaskRef& task) const { return flow_ + "/" + task.path(); }
  std::string attempt_path(const TaskRef& task, int attempt, std::string_view name) const;
  int latest_attempt_from(const TaskRef& task, int attempt) const;
  std::string log_path(const TaskRef& task, int attempt, LogSource source, Stream stream) const;
  /// The directories whose names are valid for this kind, in order.
  std::vector<std::string> directories(const std::string& path, NameKind kind) const;

  std::shared_ptr<Storage> storage_;
  std::string flow_;
};

}  // namespace metaflow::store
