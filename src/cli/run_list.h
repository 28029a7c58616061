// The runs of a flow, as `runs` lists them and `gc` selects them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"

namespace metaflow::cli {

/// The state of a run. A run without a journal is Python's, of an older version, or was executed on another host: then
/// only the end of its step `end` is known.
enum class RunState : std::uint8_t { running, done, failed, interrupted, scheduler_died, unfinished, no_data };
std::string_view name_of(RunState state);  // "scheduler died"
/// The state of a name, also with '-' instead of the blank. Throws Error{usage}.
RunState state_of_name(std::string_view option, const std::string& name);

struct RunRow {
  std::string id{};
  std::string user{};
  std::vector<std::string> tags{};
  std::vector<std::string> system_tags{};
  RunState state = RunState::unfinished;
  bool has_journal = false;  // else the members below are not known, except `began`
  std::int64_t began = 0;    // microseconds since 1970
  std::int64_t ended = 0;    // 0: not yet
  std::int64_t duration = 0;
  std::string origin{};     // the run that it resumes
  std::uint64_t tasks = 0;  // executed or cloned
  std::uint64_t cloned = 0;
  std::uint64_t failed = 0;
  bool damaged = false;  // its journal has damaged lines
};

/// The records of the runs of this flow, newest first. With local metadata, a record is read when it is visited, and a
/// run that cannot be read is skipped with a message.
/// `visit` returns whether to continue.
void visit_runs(Context& context, const std::function<bool(const store::RunInfo&)>& visit);

/// Reads the journal, or the end of the run, for all but the record.
RunRow read_row(Context& context, const store::RunInfo& info);
RunState read_state(Context& context, const std::string& run);

bool has_tag(const store::RunInfo& run, const std::string& tag);

/// The ids that are known in the local directory and in the store, newest first. Reads no file of the runs.
std::vector<std::string> known_run_ids(Context& context);

}  // namespace metaflow::cli
