// The jobs of runs on a platform, for commands that wait for its answers: `list` shows them, `kill` ends them, and
// `resume` ends them or waits for them.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "store/flow_store.h"

namespace metaflow::compute {

/// Selects jobs of runs; empty members match all.
struct ChosenRuns {
  std::string flow{};
  std::string run{};
  std::string user{};
};

/// An unfinished job. Empty members: not known, or not there yet.
struct RunJob {
  std::string run{};
  std::string run_key{};  // compute::run_key: two stores may have runs of one id
  std::string step{};
  std::string task{};
  std::string attempt{};
  std::string user{};
  std::string job{};
  std::string instance{};  // what executes it, if not the job itself: its pod
  std::string since{};     // "2026-11-23T04:16:21Z"
  std::string status{};    // the platform's word
  std::string reason{};    // for the status
  bool running = false;    // it has begun
  std::string place{};     // where the platform has it: a namespace
};

/// Words for the user.
struct RunJobsWords {
  std::string things;     // "Kubernetes pods"
  std::string beginning;  // the event at `since`: "Started"
  std::string where;      // "in the cluster"
  std::string instance;   // "pod"; empty: jobs have none
};

/// Waits for the platform's answers. Throws Error{platform}. Not thread-safe.
class RunJobs {
 public:
  virtual ~RunJobs() = default;
  virtual RunJobsWords words() const = 0;
  /// Returns unfinished jobs, by run, step and task.
  virtual std::vector<RunJob> unfinished(const ChosenRuns& which) = 0;
  /// Ends jobs, which have half a minute to do so. Returns false if one that was about to begin still may.
  virtual bool end(std::span<const RunJob> jobs, const std::string& reason) = 0;
  /// Called when no job of the run is left, and none will be created: removes everything else of the run.
  virtual void end_run(const std::string& /*run_key*/) {}
};

/// Called before a run without a scheduler is resumed: ends its jobs that have not begun, and waits for the others.
/// `waiting`: called with their number, when that has changed.
void settle(RunJobs& jobs, base::Clock& clock, const ChosenRuns& which, const std::string& run_key,
            const std::function<void(std::size_t)>& waiting);

/// Records in the store the places of a platform (namespaces, queues) in which a run has jobs. `platform`: its name;
/// `what`: "namespaces".
void note_places(store::FlowStore& store, const std::string& run, const std::string& platform, const std::string& what,
                 const std::set<std::string>& places);
/// Returns the recorded places; empty: none, so the run had no jobs there.
std::set<std::string> places_of(store::FlowStore& store, const std::string& run, const std::string& platform,
                                const std::string& what);

}  // namespace metaflow::compute
