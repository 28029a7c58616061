// The parent of a task in a container or on a node of a cluster: starts the step as a child, stores its output, and
// commits its result.
//
// It does for one attempt what the scheduler does locally, but talks only to the store. It may be the first process of
// the container: it passes on signals that a first process would ignore, and reaps orphans.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/memory_group.h"
#include "compute/step_arguments.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

/// Exit codes: compute::kStoreFailed, or the step's; 128 plus the signal number if a signal killed the step.
struct Supervision {
  std::vector<std::string> command;      // the command that starts the flow
  std::vector<std::string> step;         // its arguments: step ...
  compute::StepArguments arguments;      // the same, parsed
  std::vector<std::string> environment;  // of the step
  /// Opens the store; called for each thread that needs one.
  std::function<std::unique_ptr<store::FlowStore>()> open;
  std::optional<base::MemoryGroupPath> memory;  // the container's control group
  std::int64_t time_limit = 0;                  // microseconds from the start of the process; 0: none
  std::int64_t grace = 20'000'000;              // microseconds between asking the step to stop and killing it
  std::uint64_t max_log_size = 10'000'000;      // bytes stored per stream
};

/// Executes the attempt. Returns the exit code. Errors are written to standard error, and to the exit report beside the
/// attempt. Only for a process with one thread.
int supervise(const Supervision& what, base::Clock& clock);

}  // namespace metaflow::runtime
