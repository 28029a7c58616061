// The parts of starting a process, for process.h and fork_server.h.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/files.h"
#include "base/process.h"

namespace metaflow::base {

/// The output of a process: two pipes, with both their ends.
struct OutputPipes {
  Fd out;
  Fd child_out;
  Fd err;
  Fd child_err;
};
/// Nothing on failure, with errno set.
std::optional<OutputPipes> make_output_pipes();

/// An array for argv or environ: pointers to these texts, and a null at the end.
std::vector<char*> c_strings(const std::vector<std::string>& texts, const std::vector<std::string>& more = {});

/// Whether a process leads its own group or its own session.
enum class Leads : std::uint8_t { group, session };

/// The system call for start_process(). Returns 0 or an errno. `streams`: the descriptors that become 0, 1 and 2; -1
/// for /dev/null.
int spawn(pid_t& pid, const std::string& program, std::span<char* const> argv, std::span<char* const> envp,
          const std::array<int, 3>& streams, Leads leads = Leads::group);

/// Turns a started process into a Child. Kills the process if it cannot be watched.
std::variant<Child, NoRoom> watch_child(pid_t pid, OutputPipes pipes, const std::string& program);

/// Returns NoRoom for an errno that may be temporary; throws Error for others.
NoRoom no_room_or_throw(std::string_view operation, std::string_view object, int error);

}  // namespace metaflow::base
