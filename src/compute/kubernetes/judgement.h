// How an attempt ended in a pod is judged as on every platform.
#pragma once

#include "compute/judgement.h"

namespace metaflow::kube {

using compute::judge;
using compute::Judgement;

}  // namespace metaflow::kube
