// The jobs that runs have on a platform, for commands that wait for its answers: what `list` shows, what `kill` ends,
// and what `resume` has to settle.
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

/// Which runs' jobs; empty: all.
struct ChosenRuns {
  std::string flow{};
  std::string run{};
  std::string user{};
};

/// A job that has not ended; empty: not known, or not there yet.
struct RunJob {
  std::string run{};
  std::string run_key{};  // compute::run_key: two stores may have runs of one id
  std::string step{};
  std::string task{};
  std::string attempt{};
  std::string user{};
  std::string job{};
  std::string instance{};  // what executes it, where a job is not that itself: its pod
  std::string since{};     // "2026-11-23T04:16:21Z"
  std::string status{};    // the platform's word
  std::string reason{};    // for the status
  bool running = false;    // it has begun
  std::string place{};     // where the platform has it: a namespace
};

/// For people.
struct RunJobsWords {
  std::string things;     // "Kubernetes pods"
  std::string beginning;  // what happened to a job at `since`: "Started"
  std::string where;      // "in the cluster"
  std::string instance;   // "pod"; empty: jobs have none
};

/// Waits for the platform's answers. Throws Error{platform}. Not thread-safe.
class RunJobs {
 public:
  virtual ~RunJobs() = default;
  virtual RunJobsWords words() const = 0;
  /// By run, step and task.
  virtual std::vector<RunJob> unfinished(const ChosenRuns& which) = 0;
  /// Ends jobs, which have half a minute to do so. False: one that was about to begin may yet.
  virtual bool end(std::span<const RunJob> jobs, const std::string& reason) = 0;
  /// No job of the run is left, nor will there be: nothing else of it may remain.
  virtual void end_run(const std::string& /*run_key*/) {}
};

/// Before a run is resumed whose scheduler is gone: its jobs that have not begun are ended; those that have are waited
/// for. `waiting`: told how many these are, when that has changed.
void settle(RunJobs& jobs, base::Clock& clock, const ChosenRuns& which, const std::string& run_key,
            const std::function<void(std::size_t)>& waiting);

/// Notes in the store in which places of a platform (namespaces, queues) a run has jobs. `platform`: its name; `what`:
/// "namespaces".
void note_places(store::FlowStore& store, const std::string& run, const std::string& platform, const std::string& what,
                 const std::set<std::string>& places);
/// What was noted; empty: nothing, so the run had no jobs there.
std::set<std::string> places_of(store::FlowStore& store, const std::string& run, const std::string& platform,
                                const std::string& what);

}  // namespace metaflow::compute
