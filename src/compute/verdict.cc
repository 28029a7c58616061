#include "compute/verdict.h"

#include <signal.h>

#include <algorithm>

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"
#include "compute/core_file.h"

namespace metaflow::compute {

namespace {

std::string where_core_is(pid_t pid) {
  const auto pattern = base::try_read_file("/proc/sys/kernel/core_pattern");
  if (!pattern) return "see core(5)";
  const std::string program = base::own_executable();
  return describe_core_file(pattern->text(), base::current_directory(),
                            std::string_view(program).substr(program.rfind('/') + 1), pid);
}

}  // namespace

Verdict verdict_of(const base::ProcessEnd& ending, pid_t pid, const MemoryFacts& memory) {
  Verdict verdict;
  verdict.usage = {std::max(memory.peak, ending.peak_memory), ending.user_seconds + ending.system_seconds, ending.read,
                   ending.written};
  if (ending.signal == 0) {
    verdict.exited = true;
    verdict.exit_code = ending.exit_code;
    verdict.exited_with_zero = ending.exit_code == 0;
    verdict.lost_processes = memory.killed;
    verdict.cause = fmt::format("Task exited with code {} before its step was finished.", ending.exit_code);
    if (ending.exit_code == 0) verdict.cause += " Did it call exit()?";
    if (memory.killed) verdict.cause += std::string(" ") + kLostProcesses;
    return verdict;
  }
  verdict.signal = ending.signal;
  const std::string peak = base::human_bytes(verdict.usage.peak_memory);
  verdict.timed_out = verdict.timeout_reported = ending.signal == timeout_signal();
  if (ending.signal == SIGSEGV) {
    verdict.cause = fmt::format("Task failed with a segmentation fault (SIGSEGV, peak memory {}).", peak);
  } else if (ending.signal == SIGKILL && memory.killed) {
    verdict.cause = "Task ran out of memory: ";
    if (memory.limit > 0)
      verdict.cause += fmt::format("limit {} ({}), ", base::human_bytes(memory.limit), memory.limited_by);
    verdict.cause += fmt::format("peak {}.", peak);
  } else if (ending.signal == SIGKILL) {
    verdict.cause = fmt::format(
        "Task was killed by SIGKILL: externally, or by the kernel for lack of memory (peak memory {}).", peak);
  } else {
    verdict.cause = fmt::format("Task was killed by {} (peak memory {}).", base::signal_name(ending.signal), peak);
  }
  if (ending.dumped_core) verdict.cause += fmt::format(" Its core file: {}.", where_core_is(pid));
  return verdict;
}

Verdict verdict_of(const store::ExitReport& report) {
  Verdict verdict;
  verdict.exited = report.exited;
  if (report.exited) verdict.exit_code = report.exit_code;
  verdict.signal = report.signal;
  verdict.exited_with_zero = report.committed && report.exited && report.exit_code == 0;
  verdict.cause = report.cause;
  verdict.timed_out = verdict.timeout_reported = report.timed_out;
  verdict.lost_processes = report.exited && report.oom_kills > 0;
  verdict.committed = report.committed;
  verdict.log_stored = report.stage != store::Stage::bootstrap;
  verdict.usage = report.usage;
  return verdict;
}

}  // namespace metaflow::compute
