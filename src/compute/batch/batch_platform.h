// AWS Batch as a platform.
#pragma once

#include "compute/platform.h"

namespace metaflow::awsbatch {

const compute::Platform& batch_platform();

}  // namespace metaflow::awsbatch
