// The progress of each step, for the live view on a terminal and for Metaflow's lines every five minutes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace metaflow::runtime {

struct StepProgress {
  std::size_t running = 0;
  std::size_t done = 0;  // executed, or cloned
  std::size_t cloned = 0;
  std::size_t failed = 0;
  std::size_t expected = 0;  // as far as known
  bool started = false;      // the step is registered in the metadata
  std::int64_t began = 0;    // when its first task was executed, microseconds
};

/// A line for each step that has several tasks and has not finished, at most `most` lines: "work [####----] 412 of
/// 1,000, 16 running, 2 failed, 103/s, 0:00:06 left". `now` and StepProgress::began use the same clock.
std::vector<std::string> live_view(const graph::Graph& graph, const std::vector<StepProgress>& progress,
                                   std::int64_t now, std::size_t most);

/// Metaflow's lines: the running tasks, the number of waiting tasks, the steps that have not started.
std::vector<std::string> progress_report(const graph::Graph& graph, const std::vector<StepProgress>& progress);

/// After cloning, the cloned tasks and those to execute: "2 tasks were cloned: start, work. To execute next: work (3
/// tasks)." `waiting`: how many tasks can start, per step.
std::string outlook(const graph::Graph& graph, const std::vector<StepProgress>& progress,
                    const std::vector<std::size_t>& waiting);

}  // namespace metaflow::runtime
