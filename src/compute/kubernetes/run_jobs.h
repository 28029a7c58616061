// The jobs of runs, for commands. Each function waits for the cluster's answers.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "compute/kubernetes/client/api.h"
#include "compute/remote/run_jobs.h"

namespace metaflow::kube {

using compute::ChosenRuns;
using compute::RunJob;

/// Checks once whether the cluster accepts the user and permits access to pods. Throws Error{platform} if it refuses. A
/// cluster that cannot be reached now may be reachable later, and is not refused.
void check_access(KubernetesApi& api, base::EventLoop& loop);

/// Returns unfinished jobs by run, step and task. Throws Error{platform}.
std::vector<RunJob> unfinished_jobs(KubernetesApi& api, base::EventLoop& loop, const ChosenRuns& which);

/// Selects the jobs of a run that have not succeeded. Even in a run of many thousands, these are few.
Selection unfinished_or_failed(const std::string& run_key);

/// Selects the jobs of a run that are deleted together: those that have not succeeded. Excludes `kept`, which go on,
/// and as many of `failed` as fit, which are kept for debugging. Nothing: `kept` are too many to be named.
std::optional<Selection> all_jobs_but(const std::string& run_key, std::span<const std::string> kept,
                                      std::span<const std::string> failed);
inline constexpr std::size_t kManyJobs = 10;  // fewer are deleted one by one
inline constexpr std::size_t kMaxNamed = 50;  // jobs in a selection: it is a part of a URL

/// Deletes jobs with their pods, which have half a minute to end; many jobs of a run together. Throws Error{platform}.
void remove_jobs(KubernetesApi& api, base::EventLoop& loop, std::span<const RunJob> jobs);
/// Deletes the secret of a run. Throws Error{platform}.
void remove_secret(KubernetesApi& api, base::EventLoop& loop, const std::string& run_key);

}  // namespace metaflow::kube
