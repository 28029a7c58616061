// The history of a run, for `status` and `timeline`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "runtime/lease.h"
#include "runtime/summary.h"
#include "store/journal.h"

namespace metaflow::cli {

/// The state of a run, from its journal and its lease. Not thread-safe.
class RunView {
 public:
  /// Reads a run; an empty `run` means the newest one. The context outlives this object. Throws Error{not_found,
  /// invalid_command}.
  RunView(Context& context, const std::string& run);

  /// Reads what was added to the journal since then, and nothing else of it. Returns whether the view has changed.
  bool refresh();

  const std::string& id() const { return id_; }
  const store::RunHistory& history() const { return journal_.history(); }
  /// In the order of the graph.
  const std::vector<runtime::StepSummary>& steps() const { return steps_; }
  /// The scheduler that executes the run now.
  const std::optional<runtime::LeaseHolder>& scheduler() const { return scheduler_; }

  /// "running", "done", "failed", "interrupted", "scheduler died"
  std::string state() const;
  std::int64_t duration(std::int64_t now) const;
  /// Lines of the journal that are not events. Then the numbers may be wrong.
  std::uint64_t damaged_lines() const;

 private:
  void find_scheduler();

  Context& context_;
  std::string id_;
  store::JournalReader journal_;
  runtime::LeaseWatch lease_;
  std::vector<std::string> order_;  // of the steps
  std::vector<runtime::StepSummary> steps_;
  std::optional<runtime::LeaseHolder> scheduler_;
  std::int64_t looked_at_ = 0;  // for the scheduler; microseconds, monotonic
};

/// The newest run of this flow that was started or resumed in this store. Throws Error{not_found} if there are none.
std::string latest_run(Context& context);

}  // namespace metaflow::cli
