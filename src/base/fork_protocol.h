// What a fork server and who asks it say to each other, in messages of a SOCK_SEQPACKET socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/spawn.h"

namespace metaflow::base {

/// The first argument of a fork server. The others are only room, for the words of its copies.
inline constexpr const char* kForkServerWord = "fork-server";

/// A process to start: this, its words and its variables, each with a zero behind it; with the message come the
/// descriptors of its output and of its error output.
struct ForkRequest {
  std::uint32_t words = 0;
  std::uint32_t variables = 0;
};
/// Of a message, in bytes. More is started by exec.
inline constexpr std::size_t kMostOfForkRequest = 64 * 1024;

/// The answer: the new process's id, from itself; or, negative, the error that fork ended with. A process that cannot
/// give its answer, since nobody takes it, does not begin.
using ForkReply = std::int32_t;

/// Sends a request with the ends of the pipes that the process gets. False: nobody takes it.
bool send_fork_request(int socket, std::span<char> request, const OutputPipes& pipes);

/// Whether this process was to be a fork server. Who sees it in main is one whose C library does not begin a program as
/// fork_server_entry.cc relies on.
bool is_fork_server(int argc, const char* const* argv);

}  // namespace metaflow::base
