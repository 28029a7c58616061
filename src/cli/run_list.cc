#include "cli/run_list.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"
#include "runtime/lease.h"
#include "store/journal.h"
#include "store/local/local_runs.h"

namespace metaflow::cli {

namespace {

using store::AttemptEnd;
using store::RunInfo;

constexpr std::array kStates{RunState::running,        RunState::done,       RunState::failed, RunState::interrupted,
                             RunState::scheduler_died, RunState::unfinished, RunState::no_data};

bool has_succeeded(store::FlowStore& store, const store::TaskData& data) {
  constexpr char kPickledTrue = '\x88';
  if (data.has_details) return data.ok;
  const store::ArtifactRecord* ok = data.find("_task_ok");
  return ok != nullptr && store.load_value(ok->key, ok->size, ok->name).text().find(kPickledTrue) != std::string::npos;
}

/// The state of a run without a journal, from the result of its step `end`.
RunState state_in_store(Context& context, const std::string& run) {
  store::FlowStore& store = context.store();
  if (!store.has_run(run)) return RunState::no_data;
  for (const std::string& task : store.tasks(run, "end")) {
    const auto data = store.read_done({run, "end", task});
    if (!data) continue;
    return has_succeeded(store, *data) ? RunState::done : RunState::failed;
  }
  return RunState::unfinished;
}

RunState state_in_journal(Context& context, const std::string& run, const store::RunHistory& history) {
  switch (history.how) {
    case store::RunEnd::done: return RunState::done;
    case store::RunEnd::failed: return RunState::failed;
    case store::RunEnd::interrupted: return RunState::interrupted;
    case store::RunEnd::none: break;
  }
  const auto holder = runtime::lease_holder({context.store().storage(), context.clock}, {context.flow.name, run});
  return holder && holder->run == run ? RunState::running : RunState::scheduler_died;
}

std::optional<store::RunHistory> history_of(Context& context, const std::string& run) {
  auto history = store::read_journal(store::journal_path(context.local_root(), context.flow.name, run), run);
  if (history && history->began == 0) history.reset();  // a power loss may have cut it off
  return history;
}

void count_tasks(RunRow& row, const store::RunHistory& history) {
  std::unordered_map<std::string, AttemptEnd> last;
  std::int64_t latest = history.began;
  for (const store::AttemptHistory& attempt : history.attempts) {
    last[attempt.task.path()] = attempt.how;
    latest = std::max({latest, attempt.began, attempt.ended});
  }
  row.cloned = history.clones.size();
  row.tasks = last.size() + row.cloned;
  for (const auto& [task, how] : last) row.failed += how == AttemptEnd::failed ? 1 : 0;
  if (row.ended == 0 && row.state != RunState::running) row.ended = latest;  // the last sign of its scheduler
}

}  // namespace

std::string_view name_of(RunState state) {
  switch (state) {
    case RunState::running: return "running";
    case RunState::done: return "done";
    case RunState::failed: return "failed";
    case RunState::interrupted: return "interrupted";
    case RunState::scheduler_died: return "scheduler died";
    case RunState::unfinished: return "unfinished";
    case RunState::no_data: break;
  }
  return "no data";
}

RunState state_of_name(std::string_view option, const std::string& name) {
  std::string plain = base::lower(name);
  std::replace(plain.begin(), plain.end(), '-', ' ');
  std::vector<std::string> names;
  for (const RunState state : kStates) {
    if (plain == name_of(state)) return state;
    names.emplace_back(name_of(state));
    std::replace(names.back().begin(), names.back().end(), ' ', '-');
  }
  throw Error(ErrorCode::usage, fmt::format("Invalid value for '{}': {} is not a state of a run. (choose from {})",
                                            option, base::shown_value(name), base::join(names, ", ")));
}

void visit_runs(Context& context, const std::function<bool(const RunInfo&)>& visit) {
  const std::string& flow = context.flow.name;
  if (context.uses_service()) {
    for (const RunInfo& info : context.metadata().runs(flow)) {
      if (!visit(info)) return;
    }
    return;
  }
  for (const std::string& run : store::local_runs(context.local_root(), flow)) {
    try {
      const auto info = context.metadata().run(flow, run);
      const bool is_removed =
          base::exists(fmt::format("{}/{}/{}/{}", context.local_root(), flow, run, store::kRemovedMark));
      if (info && !is_removed && !visit(*info)) return;
    } catch (const Error& error) {
      // One damaged run, or one that only another user can read, must not hide the others.
      if (error.code() != ErrorCode::data_store && error.code() != ErrorCode::data_missing) throw;
      Context::echo_always(fmt::format("Skipping run {}: {}\n", run, error.message()));
    }
  }
}

RunState read_state(Context& context, const std::string& run) {
  const auto history = history_of(context, run);
  return history ? state_in_journal(context, run, *history) : state_in_store(context, run);
}

RunRow read_row(Context& context, const RunInfo& info) {
  RunRow row{.id = info.id, .user = info.user, .tags = info.tags, .system_tags = info.system_tags};
  row.began = store::time_of_run_id(info.id);
  if (row.began == 0) row.began = info.created;
  const auto history = history_of(context, info.id);
  if (!history) {
    row.state = state_in_store(context, info.id);
    return row;
  }
  row.has_journal = true;
  row.state = state_in_journal(context, info.id, *history);
  row.began = history->began;
  row.ended = history->ended;
  row.origin = history->begin.origin;
  count_tasks(row, *history);
  row.damaged = history->damaged_lines > 0;
  row.duration = std::max<std::int64_t>((row.ended > 0 ? row.ended : context.clock.wall_microseconds()) - row.began, 0);
  return row;
}

bool has_tag(const RunInfo& run, const std::string& tag) {
  return std::find(run.tags.begin(), run.tags.end(), tag) != run.tags.end() ||
         std::find(run.system_tags.begin(), run.system_tags.end(), tag) != run.system_tags.end();
}

std::vector<std::string> known_run_ids(Context& context) {
  std::vector<std::string> runs = store::local_runs(context.local_root(), context.flow.name);
  const store::Storage& storage = context.store().storage();
  if (storage.type() == "local" && storage.root() == context.local_root()) return runs;
  std::unordered_set<std::string> known(runs.begin(), runs.end());
  for (store::Entry& entry : context.store().storage().list(context.flow.name)) {
    if (entry.is_directory && is_name(store::NameKind::run, entry.name) && known.insert(entry.name).second)
      runs.push_back(std::move(entry.name));
  }
  return runs;
}

}  // namespace metaflow::cli
