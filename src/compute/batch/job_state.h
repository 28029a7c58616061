// What the state of a job says of the attempt in it.
#pragma once

#include <string>

#include "compute/batch/client/job.h"
#include "compute/ending.h"

namespace metaflow::awsbatch {

/// Why a job does not start: "RUNNABLE: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - ..."; empty: it is on its way as
/// usual.
std::string waiting_of(const Job& job);
/// It never will, unless somebody changes the queue's environment or the step.
bool is_hopeless(const Job& job);

/// Of a job that has ended.
compute::Ending ending_of(const Job& job);

/// Of one that Batch does not know.
compute::Ending ending_of_lost(const std::string& id);

}  // namespace metaflow::awsbatch
