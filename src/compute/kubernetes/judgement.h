// How an attempt in a pod ended: from what its supervisor wrote beside it in the store, and from the pod's status.
#pragma once

#include "compute/backend.h"
#include "compute/kubernetes/pod_state.h"
#include "compute/leftovers.h"

namespace metaflow::kube {

struct Judgement {
  compute::Verdict verdict{};
  bool began = true;  // the step did; else another pod may be tried, which is no attempt of the task's
};

/// `pod`: nothing if it was never seen to end. `was_running`: its container had started. `has_limit`: the step has a
/// timeout, so it counts as one if the pod's time was up.
Judgement judge(const PodState* pod, compute::Leftover&& left, bool was_running, bool has_limit);

}  // namespace metaflow::kube
