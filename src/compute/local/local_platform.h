// This machine as a platform.
#pragma once

#include "compute/platform.h"

namespace metaflow::compute {

const Platform& local_platform();

}  // namespace metaflow::compute
