// The events of a run, as its scheduler saw them: a line of JSON per event, in `_meta/journal.jsonl` of the run. Read
// by `status`, `timeline` and `debug`; docs/format.md describes it. The scheduler never reads it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/usage.h"
#include "store/task_data.h"

namespace metaflow::store {

/// The journal of a run below the local root: "/x/.metaflow/Sweep/17/_meta/journal.jsonl".
std::string journal_path(const std::string& local_root, const std::string& flow, const std::string& run);

/// The complete --with options of a run, in `_meta/with.json`, which only its user can read. The journal, which others
/// may read, has "***" instead of secrets.
std::string private_with_path(const std::string& local_root, const std::string& flow, const std::string& run);
void write_private_with(const std::string& path, const std::vector<std::string>& with);
/// Nothing if the text is invalid.
std::optional<std::vector<std::string>> parse_private_with(std::string_view text);

/// How a run was started.
struct RunBegin {
  std::string command;  // "run", "resume"
  std::string origin;   // of resume: the run it continues
  std::string host;
  std::int64_t pid = 0;
  std::uint64_t max_workers = 0;
  std::string name_space;
  std::vector<std::string> with;  // possible secrets are replaced by "***"
  std::vector<std::string> tags;
  std::string branch;  // of the flow's project; empty: it has none
};

/// Everything needed to execute an attempt again.
struct AttemptBegin {
  TaskRef task;
  int attempt = 0;
  bool fallback = false;
  std::string where;                 // "pid 4711"
  std::string inputs;                // packed, as `step` takes them; empty: in inputs.txt of the task
  std::optional<std::size_t> index;  // in the foreach
  std::string split;                 // of a join: the task that split
};

/// The end of an attempt. `running`: it has not ended, or its scheduler died before it could record the end. `stopped`:
/// it failed because of another task, or the user.
enum class AttemptEnd : std::uint8_t { running, done, failed, stopped };
std::string_view name_of(AttemptEnd how);

enum class RunEnd : std::uint8_t { none, done, failed, interrupted };
std::string_view name_of(RunEnd how);

/// Writes a journal. Events are collected until flush(). Throws Error{data_store}. Not thread-safe.
class Journal {
 public:
  /// Creates or continues a file.
  explicit Journal(std::string path) : path_(std::move(path)) {}

  void run_begins(std::int64_t time, const RunBegin& run);
  void run_ends(std::int64_t time, RunEnd how, std::string_view why);
  /// More tasks of a step will follow.
  void expect(std::int64_t time, std::string_view step, std::uint64_t tasks);
  void cloned(std::int64_t time, const TaskRef& task, const TaskRef& from);
  void attempt_begins(std::int64_t time, const AttemptBegin& attempt);
  /// `cause`: of a failure, one sentence.
  void attempt_ends(std::int64_t time, const TaskRef& task, int attempt, AttemptEnd how, const base::Usage& usage,
                    std::string_view cause);
  void flush();

 private:
  std::string path_;
  std::string text_;
  base::Fd file_;
};

struct AttemptHistory : AttemptBegin {
  std::int64_t began = 0;  // microseconds since 1970
  std::int64_t ended = 0;  // 0: it is running, or was running when its scheduler died
  AttemptEnd how = AttemptEnd::running;
  std::string cause;
  base::Usage usage;
};

struct CloneHistory {
  TaskRef task;
  TaskRef from;
};

struct RunHistory {
  RunBegin begin;
  std::int64_t began = 0;
  std::int64_t ended = 0;
  RunEnd how = RunEnd::none;
  std::string why;
  std::map<std::string, std::uint64_t> expected;  // tasks per step, as far as known
  std::vector<AttemptHistory> attempts;           // in the order in which they began
  std::vector<CloneHistory> clones;
};

/// Reads a journal, also one that is being written or whose writer was killed. Nothing if there is none (the run is
/// Python's, or of an older version). The content is untrusted: check who wrote the journal before acting on it.
std::optional<RunHistory> read_journal(const std::string& path, const std::string& run);
/// Parses the content of a journal.
RunHistory parse_journal(std::string_view text, const std::string& run);

}  // namespace metaflow::store
