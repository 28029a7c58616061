// The jobs of runs, for commands: each function waits for the cluster's answers.
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

/// Whether the cluster knows us and lets us see pods, asked once. Throws Error{platform} if it refuses. A cluster
/// that cannot be reached at the moment may be later: that is no refusal.
void check_access(KubernetesApi& api, base::EventLoop& loop);

/// By run, step and task. Throws Error{platform}.
std::vector<RunJob> unfinished_jobs(KubernetesApi& api, base::EventLoop& loop, const ChosenRuns& which);

/// The jobs of a run that have not succeeded: bounded by what is unfinished, in a run of many thousands.
Selection unfinished_or_failed(const std::string& run_key);

/// The jobs of a run that are to be deleted together: those that have not succeeded, without `kept`, which go on, and
/// without as many of `failed` as there is room for: people look into these. Nothing: `kept` are too many to be named.
std::optional<Selection> all_jobs_but(const std::string& run_key, std::span<const std::string> kept,
                                      std::span<const std::string> failed);
inline constexpr std::size_t kManyJobs = 10;   // fewer are deleted one by one
inline constexpr std::size_t kMostNamed = 50;  // jobs in a selection: it is a part of a URL

/// Deletes jobs, with their pods, which have half a minute to end: many of a run together. Throws Error{platform}.
void remove_jobs(KubernetesApi& api, base::EventLoop& loop, std::span<const RunJob> jobs);
/// Deletes what a run keeps besides its jobs. Throws Error{platform}.
void remove_secret(KubernetesApi& api, base::EventLoop& loop, const std::string& run_key);

}  // namespace metaflow::kube
