// Kubernetes as a platform.
#pragma once

#include "compute/platform.h"

namespace metaflow::kube {

const compute::Platform& kubernetes_platform();

}  // namespace metaflow::kube
