// The memory of a task: its limit, and the size of an allocation that failed.
#pragma once

#include <cstdint>
#include <string>

namespace metaflow::runtime {

/// Limits the data of this process and its children to the machine's memory: a larger allocation fails at once, instead
/// of making the machine swap or the kernel kill. Does nothing under a sanitizer, which maps terabytes, or if
/// METAFLOW_MEMORY_CAP=0.
void cap_memory();

/// Applies the hard limit that the backend has set for the task by METAFLOW_MEMORY_LIMIT (bytes), and by
/// METAFLOW_MEMORY_GROUP (a file to write to) where there are control groups.
void apply_memory_limit();

/// "cannot allocate 51.2 GB (51,200,000,000 bytes): a task here can have 25.3 GB, and this one used 5.5 MB at its
/// peak": describes the last failed allocation.
std::string describe_failed_allocation();

}  // namespace metaflow::runtime
