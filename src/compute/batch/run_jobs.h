// The jobs of runs, found again by their names and parameters. Waits for AWS Batch's answers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "compute/batch/client/batch_api.h"

namespace metaflow::awsbatch {

/// Which runs; empty: all.
struct RunSelection {
  std::string flow{};
  std::string run{};
  std::string user{};
  std::string run_key{};  // compute::run_key; given, only jobs of this run in this store
};

/// Jobs of a queue that have not ended, by run, step and task, the children of arrays among them instead of these; what
/// they are for is in their parameters (job_request.h). Throws Error{platform}.
std::vector<Job> unfinished_jobs(BatchApi& api, base::EventLoop& loop, const std::string& queue,
                                 const RunSelection& which);

/// Terminates jobs, which have half a minute to end; arrays of which no other child is left by one call. Throws
/// Error{platform}.
void end_jobs(BatchApi& api, base::EventLoop& loop, std::span<const std::string> jobs, const std::string& reason);

/// Throws Error{platform}. `name`: see BatchApi::find_queue.
Queue wait_for_queue(BatchApi& api, base::EventLoop& loop, const std::string& name);

}  // namespace metaflow::awsbatch
