// How an attempt ended: the verdict, from what its supervisor wrote beside it in the store, and from what the platform
// tells of its container.
#pragma once

#include "compute/backend.h"
#include "compute/ending.h"
#include "compute/leftovers.h"

namespace metaflow::compute {

struct Judgement {
  Verdict verdict{};
  bool began = true;  // the step did; else another job may be tried, which is no attempt of the task's
  bool lost = false;  // with its machine
};

/// `ending`: nothing if the container was never seen to end. `was_running`: it had started. `has_limit`: the step has a
/// timeout, so it counts as one if the container's time was up.
Judgement judge(const Ending* ending, Leftover&& left, bool was_running, bool has_limit);

}  // namespace metaflow::compute
