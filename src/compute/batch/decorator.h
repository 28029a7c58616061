// The decorator `batch` (metaflow/batch.h).
#pragma once

#include "graph/decorators.h"

namespace metaflow::awsbatch {

const graph::DecoratorKind& decorator_kind();

}  // namespace metaflow::awsbatch
