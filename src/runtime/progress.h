// How far the tasks of each step are: for the live view on a terminal and Metaflow's lines every five minutes.
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
  bool started = false;      // the step exists for the clients
  std::int64_t began = 0;    // when its first task was executed, microseconds
};

/// A line per step that has several tasks and is not over, at most `most`: "work [####----] 412 of 1,000, 16 running,
/// 2 failed, 103/s, 0:00:06 left". `now` and StepProgress::began: the same clock.
std::vector<std::string> live_view(const graph::Graph& graph, const std::vector<StepProgress>& progress,
                                   std::int64_t now, std::size_t most);

/// Metaflow's lines: what runs, how much waits, what has not started.
std::vector<std::string> progress_report(const graph::Graph& graph, const std::vector<StepProgress>& progress);

/// After cloning, what was and what is to come: "2 tasks were cloned: start, work. To execute next: work (3 tasks)."
/// `waiting`: how many tasks can start, per step.
std::string outlook(const graph::Graph& graph, const std::vector<StepProgress>& progress,
                    const std::vector<std::size_t>& waiting);

}  // namespace metaflow::runtime
