#include "base/fork_protocol.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace metaflow::base {

bool is_fork_server(int argc, const char* const* argv) {
  return argc > 1 && std::strcmp(argv[1], kForkServerArgument) == 0;
}

bool receive_fork(int socket, ReceivedFork& received) {
  iovec part{received.message.data(), received.message.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof received.streams)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  const cmsghdr* const descriptors = size > 0 ? CMSG_FIRSTHDR(&header) : nullptr;
  if (descriptors == nullptr || descriptors->cmsg_len != CMSG_LEN(sizeof received.streams)) return false;
  const auto length = static_cast<std::size_t>(size);
  if (length <= sizeof received.request || received.message[length - 1] != 0) return false;
  std::memcpy(received.streams.data(), CMSG_DATA(descriptors), sizeof received.streams);
  std::memcpy(&received.request, received.message.data(), sizeof received.request);
  received.texts = std::span(received.message).subspan(sizeof received.request, length - sizeof received.request);
  return true;
}

bool reply_to_fork(int socket, ForkReply value) {
  return ::send(socket, &value, sizeof value, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof value);
}

void enter_fork(const ReceivedFork& received) {
  ::setpgid(0, 0);
  for (std::size_t i = 0; i < received.streams.size(); ++i)
    ::dup2(received.streams[i], STDOUT_FILENO + static_cast<int>(i));
  close_streams(received);
}

void close_streams(const ReceivedFork& received) {
  for (const int stream : received.streams) ::close(stream);
}

}  // namespace metaflow::base
