// What the state of a job says of the attempt in it.
#pragma once

#include <string>

#include "compute/batch/client/job.h"
#include "compute/remote/job_end.h"

namespace metaflow::awsbatch {

/// Why a job does not start: "RUNNABLE: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - ..."; empty: it is on its way as
/// usual.
std::string waiting_of(const Job& job);
/// It never will, unless somebody changes the queue's environment or the step.
bool is_hopeless(const Job& job);

/// Of a job that has ended.
compute::JobEnd end_of(const Job& job);

/// Of one that Batch does not know.
compute::JobEnd end_of_lost(const std::string& id);

}  // namespace metaflow::awsbatch
