// The progress of each step, for the live view on a terminal and for Metaflow's lines every five minutes; and the
// totals of a run, for its summary.
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

/// The attempts of a run so far.
struct RunTotals {
  std::size_t finished = 0;  // tasks that were executed
  std::size_t cloned = 0;
  std::size_t retried = 0;  // attempts after the first of their task, without fallback attempts
  std::size_t caught = 0;   // finished tasks whose failure `catch` has stored
  std::size_t failed = 0;   // tasks that will not be executed again
  std::size_t stopped = 0;
  double cpu_seconds = 0;         // of all attempts
  std::uint64_t peak_memory = 0;  // bytes, of the largest attempt
};

/// "Tasks: 7 finished, 1 retried. Wall time 12.3 s, CPU time 45 s, peak memory of a task 51 MB."
std::string summary_of(const RunTotals& totals, std::int64_t microseconds);

/// A line for each step that has several tasks and has not finished, at most `most` lines: "work [####----] 412 of
/// 1,000, 16 running, 2 failed, 103/s, 0:00:06 left". `now` and StepProgress::began use the same clock. Parts that do
/// not fit into `columns` are left out; the number of finished tasks is the last of them.
std::vector<std::string> live_view(const graph::Graph& graph, const std::vector<StepProgress>& progress,
                                   std::int64_t now, std::size_t most, std::size_t columns);

/// Metaflow's lines: the running tasks, the number of waiting tasks, the steps that have not started.
std::vector<std::string> progress_report(const graph::Graph& graph, const std::vector<StepProgress>& progress);

/// After cloning, the cloned tasks and those to execute: "2 tasks were cloned: start, work. To execute next: work (3
/// tasks)." `waiting`: how many tasks can start, per step.
std::string outlook(const graph::Graph& graph, const std::vector<StepProgress>& progress,
                    const std::vector<std::size_t>& waiting);

}  // namespace metaflow::runtime
