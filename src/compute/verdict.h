// Verdicts: how an attempt ended, from what its parent saw.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/process.h"
#include "compute/backend.h"
#include "store/exit_report.h"

namespace metaflow::compute {

/// What is known of the memory that a process and its descendants had together.
struct MemoryFacts {
  std::uint64_t limit = 0;                                      // 0: none that is known
  std::string_view limited_by = "resources and local:enforce";  // what a user changes it with
  std::uint64_t peak = 0;                                       // 0: not counted
  bool killed = false;                                          // the kernel has killed one of them for lack of memory
};

/// For people, of Verdict::lost_processes.
inline constexpr const char* kLostProcesses =
    "Before that, the kernel killed a process that the task had started, for lack of memory.";

Verdict verdict_of(const base::ProcessEnd& ending, pid_t pid, const MemoryFacts& memory);

/// Of an attempt that was executed elsewhere, by what its supervisor wrote.
Verdict verdict_of(const store::ExitReport& report);

}  // namespace metaflow::compute
