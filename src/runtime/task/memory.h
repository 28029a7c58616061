// Memory of a task: how much there is, and what an allocation that failed asked for.
#pragma once

#include <cstdint>
#include <string>

namespace metaflow::runtime {

/// Limits the data of this process and its children to what the machine has, so that asking for more fails at once
/// instead of making the machine swap or the kernel kill. Does nothing under a sanitizer, which maps terabytes, or if
/// METAFLOW_MEMORY_CAP=0.
void cap_memory();

/// Of a task: obeys the hard limit that its backend has set for it by METAFLOW_MEMORY_LIMIT (bytes), and by
/// METAFLOW_MEMORY_GROUP (a file to write to) where there are control groups.
void obey_memory_limit();

/// "cannot allocate 51.2 GB: this machine has 25.3 GB, of which the task used 12.0 MB": of the allocation that failed
/// last.
std::string describe_failed_allocation();

}  // namespace metaflow::runtime
