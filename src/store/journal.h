// The events of a run, as its scheduler saw them: a line of JSON per event, in `_meta/journal.jsonl` of the run. Read
// by `status`, `timeline` and `debug`; docs/format.md describes it. The scheduler never reads it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
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
  std::string label;                 // of its items of the foreachs around it; empty: none
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
  Journal(std::string path, base::Clock& clock)
      : path_(std::move(path)), clock_(clock), begin_(clock.wall_microseconds() - clock.boot_microseconds()) {}

  /// The time of an event, in microseconds since 1970: that of the wall clock when this object was created, plus the
  /// time since then. So the differences are durations, even if the wall clock jumps.
  std::int64_t now() { return begin_ + clock_.boot_microseconds(); }

  void run_begins(std::int64_t time, const RunBegin& run);
  void run_ends(std::int64_t time, RunEnd how, std::string_view why);
  /// More tasks of a step will follow.
  void expect(std::int64_t time, std::string_view step, std::uint64_t tasks);
  void cloned(std::int64_t time, const TaskRef& task, const TaskRef& from);
  void attempt_begins(std::int64_t time, const AttemptBegin& attempt);
  /// `cause`: of a failure, one sentence. `caught`: it is done only because `catch` stored its failure.
  void attempt_ends(std::int64_t time, const TaskRef& task, int attempt, AttemptEnd how, const base::Usage& usage,
                    std::string_view cause, bool caught = false);
  void flush();

 private:
  std::string path_;
  base::Clock& clock_;
  std::int64_t begin_;  // of the clock that counts now(), in microseconds since 1970
  std::string text_;
  base::Fd file_;
};

struct AttemptHistory : AttemptBegin {
  std::int64_t began = 0;  // microseconds since 1970
  std::int64_t ended = 0;  // 0: it is running, or was running when its scheduler died
  AttemptEnd how = AttemptEnd::running;
  bool caught = false;
  std::string cause;
  base::Usage usage;
};

struct CloneHistory {
  TaskRef task;
  TaskRef from;
};

/// The tasks of one step. The last attempt of a task counts.
struct StepHistory {
  std::uint64_t expected = 0;  // as far as known
  std::uint64_t done = 0;
  std::uint64_t cloned = 0;
  std::uint64_t running = 0;
  std::uint64_t failed = 0;
  std::uint64_t stopped = 0;
  std::uint64_t caught = 0;           // of those that are done: their failure was stored by `catch`
  std::uint64_t retried = 0;          // attempts after the first of their task, without fallback attempts
  std::uint64_t attempts_failed = 0;  // of all attempts
  std::int64_t began = 0;             // microseconds since 1970; 0: not yet
  std::uint64_t peak_memory = 0;      // bytes, of the largest attempt
  double cpu_seconds = 0;             // of all attempts
};

struct RunHistory {
  RunBegin begin;
  std::int64_t began = 0;
  std::int64_t ended = 0;
  RunEnd how = RunEnd::none;
  std::string why;
  std::map<std::string, StepHistory> steps;
  std::vector<AttemptHistory> attempts;  // in the order in which they began
  std::vector<CloneHistory> clones;
  std::uint64_t damaged_lines = 0;  // that are not events: a power loss or a full disk damaged them
  std::set<std::size_t> running;    // attempts
  std::set<std::size_t> failed;     // attempts that were the last of their task
};

/// Follows a journal, also one that is being written or whose writer was killed. The content is untrusted: check who
/// wrote the journal before acting on it. Not thread-safe.
class JournalReader {
 public:
  JournalReader(std::string path, std::string run) : path_(std::move(path)), run_(std::move(run)) {}

  /// Reads what was added since the last call. Returns whether that changed anything. Throws Error{data_store}.
  bool read();
  /// Whether the file exists; if not, the run is Python's, or of an older version.
  bool exists() const { return exists_; }
  const RunHistory& history() const { return history_; }
  /// Whether the last line has no end yet. That of a run that is not running is damaged.
  bool ends_within_line() const { return !partial_.empty() || is_too_long_; }
  RunHistory take() { return std::move(history_); }

  /// Adds whole lines. Returns how many bytes were used; the rest is a line that is still being written.
  std::size_t add(std::string_view text);

 private:
  void add_piece(std::string_view piece);
  void add_line(std::string_view line);
  void start(const base::Json& json, std::int64_t time);
  void end(const base::Json& json, std::int64_t time);
  /// Adds an attempt to the numbers of its step, or removes it (`sign` -1).
  void count(std::size_t attempt, int sign);

  std::string path_;
  std::string run_;
  bool exists_ = false;
  std::uint64_t at_ = 0;      // in the file
  std::string partial_;       // the begin of a line
  bool is_too_long_ = false;  // the begun line, whose bytes are not kept
  RunHistory history_;
  std::unordered_map<std::string, std::size_t> last_;  // "work/5": its last attempt
};

/// Reads a whole journal; nothing if there is none.
std::optional<RunHistory> read_journal(const std::string& path, const std::string& run);
/// Parses the content of a journal.
RunHistory parse_journal(std::string_view text, const std::string& run);

}  // namespace metaflow::store
