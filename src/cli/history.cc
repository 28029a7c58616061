#include "cli/history.h"

#include <algorithm>
#include <utility>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "cli/paths.h"
#include "store/local/latest_run.h"

namespace metaflow::cli {

using store::AttemptHistory;

namespace {

constexpr std::int64_t kLookEvery = 5'000'000;  // for the lease, if the store is not on this host; microseconds

std::string find_run(Context& context, const std::string& wanted) {
  std::string id = wanted.empty() ? latest_run(context) : run_of_name(context, wanted);
  // With the metadata service, a run is known only by its journal, if it was executed on this host.
  auto is_known = [&] {
    if (!context.uses_service()) return context.metadata().run(context.flow.name, id).has_value();
    return base::exists(store::journal_path(context.local_root(), context.flow.name, id));
  };
  if (!is_name(store::NameKind::run, id) || !is_known()) throw context.no_run(id, context.local_root());
  return id;
}

}  // namespace

std::string latest_run(Context& context) {
  if (auto run = store::latest_run(context.local_root(), context.flow.name)) return std::move(*run);
  throw Error(ErrorCode::not_found, fmt::format("Flow {} has no run in {}", context.flow.name, context.local_root()));
}

RunView::RunView(Context& context, const std::string& wanted)
    : context_(context),
      id_(find_run(context, wanted)),
      journal_(store::journal_path(context.local_root(), context.flow.name, id_), id_),
      lease_({context.store().storage(), context.clock}, {context.flow.name, id_}) {
  const graph::Graph graph = context.make_graph();
  for (const int step : graph.order()) order_.push_back(graph.step(step).name);
  refresh();
  if (!journal_.exists()) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("Run {}/{} has no journal, which status and timeline require", context.flow.name, id_),
                "The run was executed by Python or by an older version of this library. The clients can read it.");
  }
  if (history().began == 0) {
    throw Error(ErrorCode::data_missing,
                fmt::format("The journal of run {}/{} has no first entry. A power loss may have cut it off",
                            context.flow.name, id_),
                fmt::format("The clients can read the run. To continue it: {} resume --origin-run-id {}",
                            context.command(), id_));
  }
}

bool RunView::refresh() {
  const bool had_scheduler = scheduler_.has_value();
  find_scheduler();  // first: a scheduler writes the end of the run to the journal before it ends
  const bool has_grown = journal_.read();
  if (has_grown || steps_.empty()) steps_ = runtime::summarise(history(), order_);
  return has_grown || scheduler_.has_value() != had_scheduler;
}

void RunView::find_scheduler() {
  const std::int64_t now = context_.clock.monotonic_microseconds();
  if (looked_at_ != 0 && context_.top.datastore != "local" && now - looked_at_ < kLookEvery) return;
  looked_at_ = now;
  runtime::LeaseWatch::View lease = lease_.look();
  using State = runtime::LeaseWatch::State;
  scheduler_.reset();
  if (lease.state == State::free || lease.state == State::continued) return;
  if (lease.holder && lease.holder->run == id_) scheduler_ = std::move(lease.holder);  // else it continues this run
}

std::string RunView::state() const {
  switch (history().how) {
    case store::RunEnd::done: return "done";
    case store::RunEnd::failed: return "failed";
    case store::RunEnd::interrupted: return "interrupted";
    case store::RunEnd::none: break;
  }
  return scheduler_ ? "running" : "scheduler died";
}

std::uint64_t RunView::damaged_lines() const {
  const bool is_cut = journal_.ends_within_line() && state() != "running";
  return history().damaged_lines + (is_cut ? 1 : 0);
}

std::int64_t RunView::duration(std::int64_t now) const {
  // A journal of an older version, or another host's, may have jumps of its clock.
  if (history().ended > 0) return std::max<std::int64_t>(history().ended - history().began, 0);
  if (scheduler_) return std::max<std::int64_t>(now - history().began, 0);
  std::int64_t last = history().began;
  for (const AttemptHistory& attempt : history().attempts) last = std::max({last, attempt.began, attempt.ended});
  return last - history().began;
}

}  // namespace metaflow::cli
