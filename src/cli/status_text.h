// A run as `status` shows it.
#pragma once

#include <cstdint>
#include <string>

#include "cli/history.h"

namespace metaflow::cli {

/// The version of the object that `status --json` prints. docs/events.md describes it.
inline constexpr int kStatusVersion = 1;

/// A table of the steps, the tasks that run longest and those that have failed. `now`: microseconds since 1970.
std::string status_text(Context& context, const RunView& run, std::int64_t now);
/// One line: "Sweep/17: running, 412 of 1,000 tasks done, 16 running, 2 failed".
std::string status_line(const Context& context, const RunView& run);
/// A sentence about damaged lines of the journal.
std::string damage_text(const RunView& run);
/// One JSON object, on one line.
std::string status_json(const Context& context, const RunView& run, std::int64_t now);

}  // namespace metaflow::cli
