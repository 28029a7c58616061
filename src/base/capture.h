// Programs that are run for what they print.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace metaflow::base {

struct Captured {
  int exit_code = 0;  // 128 and the signal's number for one that a signal ended
  std::string out;
  std::string err;
};

/// Where PATH has a program; nothing if it has none of this name.
std::optional<std::string> search_path(const std::string& name);

/// The path of a program: as it is if it has a '/', else found by PATH. Throws Error{data_store} if there is none.
std::string find_program(const std::string& name);

/// Runs a program, found by PATH if its name has no '/', with an empty standard input, until it has ended and closed
/// its output. Throws Error{data_store} if it cannot be started, takes longer than this, or prints more than 16 MiB.
Captured run_captured(const std::vector<std::string>& command, const std::vector<std::string>& environment,
                      std::chrono::milliseconds limit);

}  // namespace metaflow::base
