// The jobs of runs, found by their names and parameters. Waits for AWS Batch's answers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "compute/batch/client/batch_api.h"

namespace metaflow::awsbatch {

/// Selects runs; empty members match all.
struct RunSelection {
  std::string flow{};
  std::string run{};
  std::string user{};
  std::string run_key{};  // compute::run_key: only jobs of this run in this store
};

/// Returns the unfinished jobs of a queue by run, step and task, with the children of an array in its place. Their
/// parameters identify their attempts (job_request.h). Throws Error{platform}.
std::vector<Job> unfinished_jobs(BatchApi& api, base::EventLoop& loop, const std::string& queue,
                                 const RunSelection& which);

/// Terminates jobs, which have half a minute to end. One call terminates an array whose remaining children are all
/// among them. Throws Error{platform}.
void end_jobs(BatchApi& api, base::EventLoop& loop, std::span<const std::string> jobs, const std::string& reason);

/// Throws Error{platform}. `name`: see BatchApi::find_queue.
Queue wait_for_queue(BatchApi& api, base::EventLoop& loop, const std::string& name);

}  // namespace metaflow::awsbatch
