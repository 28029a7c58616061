// How many processors this process may use.
#pragma once

namespace metaflow::base {

/// At least 1: the smaller of the affinity mask and the processor quota of the control groups around the process.
unsigned available_cpus();

}  // namespace metaflow::base
