#include "cli/concurrency.h"

#include <algorithm>

#include "base/format.h"

namespace metaflow::cli {

std::vector<StepLimit> step_limits(const graph::Graph& graph, const compute::Machine& machine,
                                   std::size_t max_workers) {
  std::vector<StepLimit> limits;
  for (const int index : graph.order()) {
    const graph::Step& step = graph.step(index);
    const auto& around = step.open_splits;
    const bool has_many_tasks = std::any_of(around.begin(), around.end(), [&](const detail::OpenSplit& split) {
      return graph.step(split.split).transition == detail::Transition::foreach;
    });
    const auto request = compute::local_request(step.decorators);
    if (!has_many_tasks || !request) continue;
    const compute::Room room = machine.room_for(*request);
    if (room.tasks < max_workers) limits.push_back({step.name, room});
  }
  return limits;
}

std::string concurrency_notes(const std::vector<StepLimit>& limits, std::size_t max_workers, bool is_default,
                              unsigned cpus, bool runs_here) {
  std::string notes;
  for (const StepLimit& limit : limits) {
    notes +=
        fmt::format("At most {} task{} of step {} run{} at once: each requests {}.\n", limit.room.tasks,
                    limit.room.tasks == 1 ? "" : "s", limit.step, limit.room.tasks == 1 ? "s" : "", limit.room.reason);
  }
  if (is_default && runs_here && cpus > max_workers) {
    notes += fmt::format(
        "At most {0} tasks run at once, and this host has {1} cores. To use all of them: --max-workers "
        "{1}\n",
        max_workers, cpus);
  }
  return notes;
}

}  // namespace metaflow::cli
