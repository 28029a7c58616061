// Resource usage of processes.
#pragma once

#include <cstdint>

namespace metaflow::base {

struct Usage {
  std::uint64_t peak_memory = 0;  // bytes
  double cpu_seconds = 0;
  std::uint64_t read = 0;     // bytes from disks
  std::uint64_t written = 0;  // bytes to disks
};

}  // namespace metaflow::base
