// The number of processors that this process may use.
#pragma once

namespace metaflow::base {

/// At least 1: the smaller of the affinity mask and the CPU quota of the enclosing control groups.
unsigned available_cpus();

}  // namespace metaflow::base
