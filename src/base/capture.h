// Runs programs and captures their output.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace metaflow::base {

struct Captured {
  int exit_code = 0;  // 128 + the signal number if a signal ended it
  std::string out;
  std::string err;
};

/// The path of a program found by PATH; nothing if it is not in PATH.
std::optional<std::string> search_path(const std::string& name);

/// The path of a program: `name` itself if it contains a '/', else found by PATH. Throws Error{data_store} if not
/// found.
std::string find_program(const std::string& name);

/// Runs a program, found by PATH if its name has no '/', with empty standard input, until it has ended and closed its
/// output. Throws Error{data_store} if it cannot be started, exceeds `limit`, or prints more than 16 MiB.
Captured run_captured(const std::vector<std::string>& command, const std::vector<std::string>& environment,
                      std::chrono::milliseconds limit);

}  // namespace metaflow::base
