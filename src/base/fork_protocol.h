// The protocol between a fork server and its client: messages on a SOCK_SEQPACKET socket.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/spawn.h"

namespace metaflow::base {

/// The first argument of a fork server. The other arguments only reserve room for those of its copies.
inline constexpr const char* kForkServerArgument = "fork-server";

/// A request to start a process: this header, its arguments and its variables, each terminated by a zero byte. The
/// message carries the descriptors of its output and its error output.
struct ForkRequest {
  std::uint32_t words = 0;
  std::uint32_t variables = 0;
};
/// Maximal size of a message, in bytes. Larger requests are started with exec.
inline constexpr std::size_t kMaxForkRequest = 64 * 1024;

/// The answer: the id of the new process, sent by itself; or a negative errno of fork. A process whose answer cannot be
/// delivered exits. A server of another program first sends kForkServerReady.
using ForkReply = std::int32_t;
inline constexpr ForkReply kForkServerReady = 0;

/// Sends a request with the process's ends of the pipes. False: the server does not receive it.
bool send_fork_request(int socket, std::span<char> request, const OutputPipes& pipes);

// The side of the server. These functions use only system calls: see fork_server_entry.cc.

/// A received request. Large: not for the stack.
struct ReceivedFork {
  alignas(ForkRequest) std::array<char, kMaxForkRequest> message;
  ForkRequest request;
  std::span<char> texts;
  std::array<int, 2> streams;  // output, error output
};

/// Waits for a request. False: the client is gone, or its message is invalid.
bool receive_fork(int socket, ReceivedFork& received);
/// False: the client no longer receives it.
bool reply_to_fork(int socket, ForkReply value);
/// In a new process: a process group of its own, and the output streams of the request.
void enter_fork(const ReceivedFork& received);
void close_streams(const ReceivedFork& received);

/// Whether this process was started as a fork server. If main sees true, the C library does not start programs in the
/// way that fork_server_entry.cc relies on.
bool is_fork_server(int argc, const char* const* argv);

}  // namespace metaflow::base
