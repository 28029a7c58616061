// How an attempt ended, from what its supervisor wrote beside it in the store, and from what the platform tells of its
// job.
#pragma once

#include "compute/backend.h"
#include "compute/remote/attempt_results.h"
#include "compute/remote/job_end.h"

namespace metaflow::compute {

/// What is known of an attempt besides what it left.
struct JobFacts {
  const JobEnd* end = nullptr;  // null: the job was never seen to end
  bool was_running = false;     // its container had started
  bool has_limit = false;       // the step has a timeout, so it counts as one if the job's time was up
  int uncounted_retries = 0;    // of a task that was lost with its machine
};

/// What the supervisor wrote counts; the platform knows what has killed the two together.
Verdict judge(const JobFacts& job, AttemptResult&& left);

}  // namespace metaflow::compute
