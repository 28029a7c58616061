// The history of a run, for `status` and `timeline`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "runtime/lease.h"
#include "runtime/summary.h"
#include "store/journal.h"

namespace metaflow::cli {

/// The state of a run, read from its journal.
struct RunView {
  std::string id;
  store::RunHistory history;
  std::vector<runtime::StepSummary> steps;        // in the order of the graph
  std::optional<runtime::LeaseHolder> scheduler;  // the one that executes the run now

  /// "running", "done", "failed", "interrupted", "scheduler died"
  std::string state() const;
  std::int64_t duration(std::int64_t now) const;
  /// The last attempts of the failed tasks, oldest first.
  std::vector<const store::AttemptHistory*> failures() const;
};

/// Reads a run; an empty `run` means the newest one. Throws Error{not_found, invalid_command}.
RunView read_run(Context& context, const std::string& run);

/// The newest run of this flow that was started or resumed in this store. Throws Error{not_found} if there are none.
std::string latest_run(Context& context);

}  // namespace metaflow::cli
