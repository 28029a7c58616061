// The supervisor's report on the end of an attempt: N.exit.json beside the attempt. docs/format.md describes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/usage.h"

namespace metaflow::store {

/// The phase in which an attempt ended.
enum class Stage : std::uint8_t {
  bootstrap,  // the step's process was not started
  step,       // it was started; a step that succeeded is past this stage
  commit,     // the process had ended, and its result was being committed
};

struct ExitReport {
  Stage stage = Stage::bootstrap;
  bool committed = false;  // DONE.lock is there
  bool exited = false;     // the process exited with exit_code; else it was killed by signal
  int exit_code = 0;
  int signal = 0;
  bool timed_out = false;
  int stopped_by = 0;           // the signal that stopped the whole container; 0: none
  std::uint64_t oom_kills = 0;  // processes of the container that the kernel killed for lack of memory
  std::string cause{};          // of a failure: one sentence for the user
  base::Usage usage{};
  std::int64_t began = 0;  // microseconds since 1970
  std::int64_t ended = 0;
};

std::string to_json(const ExitReport& report);
/// Throws Error{data_store} if the text is damaged.
ExitReport exit_report_from_json(std::string_view text, std::string_view path);

}  // namespace metaflow::store
