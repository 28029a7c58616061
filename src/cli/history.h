// What the commands that look at a whole run share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "runtime/lease.h"
#include "runtime/summary.h"
#include "store/journal.h"

namespace metaflow::cli {

/// A run as its journal tells it.
struct WatchedRun {
  std::string id;
  store::RunHistory history;
  std::vector<runtime::StepSummary> steps;        // in the order of the graph
  std::optional<runtime::LeaseHolder> scheduler;  // that executes it now

  /// "running", "done", "failed", "interrupted", "scheduler died"
  std::string state() const;
  std::int64_t duration(std::int64_t now) const;
  /// The last attempts of tasks that failed, oldest first.
  std::vector<const store::AttemptHistory*> failures() const;
};

/// `run`: empty: the newest. Throws Error{not_found, invalid_command}.
WatchedRun watch_run(Context& context, const std::string& run);

/// The newest run of this flow that was begun or resumed here. Throws Error{not_found} if there is none.
std::string latest_run(Context& context);

}  // namespace metaflow::cli
