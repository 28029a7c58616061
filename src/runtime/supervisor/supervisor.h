// The parent of a task in a container or on a node of a cluster: starts the step as a child, keeps its output, and
// commits what it left.
//
// It does for one attempt what the scheduler does locally, with the store as the only one to talk to. It may be the
// first process of the container: it passes on signals that a first process would ignore, and reaps orphans.
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

/// Exit statuses: compute::kStoreFailed, or those of the step; 128 and the signal's number if one has killed it.
struct Supervision {
  std::vector<std::string> command;      // the words that start the flow
  std::vector<std::string> step;         // and its arguments: step ...
  compute::StepArguments arguments;      // the same, read
  std::vector<std::string> environment;  // of the step
  /// Opens the store; called for each thread that needs one.
  std::function<std::unique_ptr<store::FlowStore>()> open;
  std::optional<base::MemoryGroupPath> memory;  // the container's control group
  std::int64_t time_limit = 0;                  // microseconds from the start of the process; 0: none
  std::int64_t grace = 20'000'000;              // microseconds between asking the step to stop and killing it
  std::uint64_t max_log_size = 10'000'000;      // bytes that are kept per stream
};

/// Executes the attempt. Returns the exit status; what went wrong was said on the standard error stream, and in the
/// exit report beside the attempt. Only for a process with one thread.
int supervise(const Supervision& what, base::Clock& clock);

}  // namespace metaflow::runtime
