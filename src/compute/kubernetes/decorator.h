// The decorator `kubernetes` (metaflow/kubernetes.h).
#pragma once

#include "graph/decorators.h"

namespace metaflow::kube {

const graph::DecoratorKind& decorator_kind();

}  // namespace metaflow::kube
