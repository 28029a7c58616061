// Processes that a runner of this machine starts, as a platform: for tests of what all platforms have in common,
// without a server or a network.
#pragma once

#include "compute/platform.h"

namespace metaflow::process_platform {

const compute::Platform& process_platform();

}  // namespace metaflow::process_platform
