// The platforms that tests have: the table.
#pragma once

#include "compute/platform.h"

namespace metaflow {

/// Those of the library, and one more.
const compute::Platforms& platforms_of_tests();

}  // namespace metaflow
