// What starting a process is made of: process.h and fork_server.h put it together.
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

/// A process's output: two pipes, with the ends that it gets.
struct OutputPipes {
  Fd out;
  Fd child_out;
  Fd err;
  Fd child_err;
};
/// Nothing: errno says why.
std::optional<OutputPipes> make_output_pipes();

/// What argv and environ consist of: pointers to these texts, and the null at the end.
std::vector<char*> c_strings(const std::vector<std::string>& texts, const std::vector<std::string>& more = {});

/// What a process leads.
enum class Leads : std::uint8_t { group, session };

/// The system call for start_process(): 0, or why not, as errno. `streams`: what descriptors 0, 1 and 2 become, -1 for
/// none (/dev/null).
int spawn(pid_t& pid, const std::string& program, std::span<char* const> argv, std::span<char* const> envp,
          const std::array<int, 3>& streams, Leads leads = Leads::group);

/// The child that a process is. It is killed if it cannot be watched.
std::variant<Child, NoRoom> watch_child(pid_t pid, OutputPipes pipes, const std::string& program);

/// That something was refused which others may give back; other errors (numbers of errno) are thrown.
NoRoom no_room_or_throw(std::string_view operation, std::string_view object, int error);

}  // namespace metaflow::base
