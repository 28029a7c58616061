// The state of an attempt, from the state of its job.
#pragma once

#include <string>

#include "compute/batch/client/job.h"
#include "compute/remote/job_end.h"

namespace metaflow::awsbatch {

/// Returns why a job does not start: "RUNNABLE: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - ..."; empty if it starts as
/// usual.
std::string waiting_of(const Job& job);
/// Whether the job can never start, unless the queue's environment or the step is changed.
bool is_hopeless(const Job& job);

/// Returns how a job ended. `job` has ended.
compute::JobEnd end_of(const Job& job);

/// Returns the end of a job that Batch does not know.
compute::JobEnd end_of_lost(const std::string& id);

}  // namespace metaflow::awsbatch
