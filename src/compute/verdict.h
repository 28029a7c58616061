// Verdicts: how an attempt ended, as its parent saw it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/process.h"
#include "compute/backend.h"
#include "store/exit_report.h"

namespace metaflow::compute {

/// The memory that a process and its descendants had together.
struct MemoryFacts {
  std::uint64_t limit = 0;                                      // 0: none, or not known
  std::string_view limited_by = "resources and local:enforce";  // where the user sets it
  std::uint64_t peak = 0;                                       // 0: not counted
  bool killed = false;                                          // the kernel killed one of them for lack of memory
};

/// The sentence for the user about Verdict::lost_processes.
inline constexpr const char* kLostProcesses =
    "Before that, the kernel killed a process that the task had started, for lack of memory.";

Verdict verdict_of(const base::ProcessEnd& ending, pid_t pid, const MemoryFacts& memory);

/// Returns the verdict on an attempt elsewhere, from the report of its supervisor.
Verdict verdict_of(const store::ExitReport& report);

}  // namespace metaflow::compute
