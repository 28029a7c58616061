// Determines how an attempt ended, from the report of its supervisor in the store, and from the platform's state of its
// job.
#pragma once

#include "compute/backend.h"
#include "compute/remote/attempt_results.h"
#include "compute/remote/job_end.h"

namespace metaflow::compute {

/// The facts about an attempt besides its result.
struct JobFacts {
  const JobEnd* end = nullptr;  // null: the end of the job was not observed
  bool was_running = false;     // its container had started
  bool has_limit = false;       // the step has a timeout: a timeout of the job counts as one of the step
  int uncounted_retries = 0;    // of a task that was lost with its node
};

/// The report of the supervisor has priority. The platform knows what killed the supervisor together with the task.
Verdict judge(const JobFacts& job, AttemptResult&& left);

}  // namespace metaflow::compute
