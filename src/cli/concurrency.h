// The number of tasks of a run that execute at once, and its reason.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "compute/local/machine.h"
#include "graph/graph.h"

namespace metaflow::cli {

/// A step that `local` executes: fewer of its tasks than --max-workers fit on this host.
struct StepLimit {
  std::string step;
  compute::Room room;
};

/// Limits of the steps that may have many tasks: those in a foreach.
std::vector<StepLimit> step_limits(const graph::Graph& graph, const compute::Machine& machine, std::size_t max_workers);

/// Sentences for the user, each with its newline. `cpus`: of this host. `is_default`: the user has not set
/// `max_workers`. `runs_here`: a step is executed on this host.
std::string concurrency_notes(const std::vector<StepLimit>& limits, std::size_t max_workers, bool is_default,
                              unsigned cpus, bool runs_here);

}  // namespace metaflow::cli
