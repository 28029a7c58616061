#include "base/fork_server.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/event_loop.h"
#include "base/failure_points.h"
#include "base/fork_protocol.h"
#include "base/spawn.h"

// Sanitizers initialise before all other code, some with threads: a process cannot be stopped before that.
extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __tsan_init();
[[gnu::weak]] void __msan_init();
[[gnu::weak]] void __hwasan_init();
[[gnu::weak]] void metaflow_fork_server_entry();  // in fork_server_entry.cc, if it is linked
}

namespace metaflow::base {

namespace {

constexpr std::size_t kMoreVariables = 32;  // more than those common to all processes
constexpr std::size_t kShown = 2000;        // bytes of a command line, for ps

/// Variables that the loader reads (ld.so(8), glibc's tunables): the server's loader has read them already.
bool is_for_loader(std::string_view variable) {
  return variable.starts_with("LD_") || variable.starts_with("GLIBC_") || variable.starts_with("MALLOC_");
}

std::vector<std::string> for_loader(const std::vector<std::string>& environment) {
  std::vector<std::string> found;
  std::copy_if(environment.begin(), environment.end(), std::back_inserter(found), is_for_loader);
  return found;
}

void append(std::vector<char>& message, const std::string& text) {
  message.insert(message.end(), text.c_str(), text.c_str() + text.size() + 1);
}

/// The reply; nothing if there is none, and perhaps never will be.
std::optional<ForkReply> receive(int socket, int timeout) {
  pollfd readable{socket, POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&readable, 1, timeout);
  } while (ready < 0 && errno == EINTR);
  ForkReply reply = 0;
  if (ready <= 0 || ::recv(socket, &reply, sizeof reply, MSG_DONTWAIT) != sizeof reply) return std::nullopt;
  return reply;
}

}  // namespace

bool send_fork_request(int socket, std::span<char> request, const OutputPipes& pipes) {
  const std::array<int, 2> streams{pipes.child_out.get(), pipes.child_err.get()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof streams)> control{};
  iovec part{request.data(), request.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const descriptors = CMSG_FIRSTHDR(&header);
  descriptors->cmsg_level = SOL_SOCKET;
  descriptors->cmsg_type = SCM_RIGHTS;
  descriptors->cmsg_len = CMSG_LEN(sizeof streams);
  std::memcpy(CMSG_DATA(descriptors), streams.data(), sizeof streams);
  return ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(request.size());
}

bool ForkServer::is_possible() {
  return &metaflow_fork_server_entry != nullptr && &__asan_init == nullptr && &__tsan_init == nullptr &&
         &__msan_init == nullptr && &__hwasan_init == nullptr;
}

ForkServer::ForkServer(std::size_t argument_count, std::string filler, const std::vector<std::string>& environment,
                       int timeout)
    : timeout_(timeout),
      argument_count_(argument_count),
      filler_(std::move(filler)),
      most_variables_(environment.size() + kMoreVariables),
      for_loader_(for_loader(environment)) {
  if (!is_possible()) return;
  const std::string program = own_executable();
  std::vector<std::string> command{program, kForkServerArgument, std::string(kShown, '-')};
  command.resize(std::max(command.size(), argument_count + 1));
  argument_count_ = command.size() - 1;
  std::vector<std::string> variables = environment;
  variables.resize(most_variables_, "METAFLOW_FORK_SERVER=");
  start(program, command, variables);
}

ForkServer::ForkServer(std::vector<std::string> command, const std::vector<std::string>& environment, int timeout)
    : timeout_(timeout), command_(std::move(command)), ready_(false), for_loader_(for_loader(environment)) {
  std::vector<std::string> words = command_;
  words.emplace_back(kForkServerArgument);
  words.emplace_back(kShown, '-');
  start(command_[0], words, environment);
}

void ForkServer::start(const std::string& program, const std::vector<std::string>& command,
                       const std::vector<std::string>& environment) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  pid_t pid = 0;
  {
    const EventLoop::AllowedWait for_the_program;
    if (spawn(pid, program, c_strings(command), c_strings(environment), {theirs.get(), -1, -1}) != 0) return;
  }
  server_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  socket_ = std::move(ours);
  if (!server_) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    socket_.reset();
  }
}

/// Whether a server of another program has loaded it. One that has ended will never be ready.
bool ForkServer::is_ready() {
  if (ready_) return true;
  ForkReply reply = 0;
  const ssize_t size = ::recv(socket_.get(), &reply, sizeof reply, MSG_DONTWAIT);
  ready_ = size == sizeof reply && reply == kForkServerReady;
  if (!ready_ && (size >= 0 || errno != EAGAIN)) {
    end();
    socket_.reset();
  }
  return ready_;
}

ForkServer::~ForkServer() { end(); }

void ForkServer::end() {
  if (!server_) return;
  ::syscall(SYS_pidfd_send_signal, server_.get(), SIGKILL, nullptr, 0);
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(server_.get()), &info, WEXITED) < 0 && errno == EINTR) {
  }
  server_.reset();
}

std::optional<std::variant<Child, NoRoom>> ForkServer::try_start(const std::vector<std::string>& arguments,
                                                                 const std::vector<std::string>& environment) {
  if (!server_ || !is_ready() || arguments.size() > argument_count_ || environment.size() > most_variables_ ||
      for_loader(environment) != for_loader_) {
    return std::nullopt;
  }
  const bool is_own = command_.empty();
  const std::string program = is_own ? own_executable() : command_[0];
  const std::size_t fillers = is_own ? argument_count_ - arguments.size() : 0;
  const ForkRequest request{.words = static_cast<std::uint32_t>(1 + arguments.size() + fillers),
                            .variables = static_cast<std::uint32_t>(environment.size())};
  std::vector<char> message(sizeof request);
  std::memcpy(message.data(), &request, sizeof request);
  append(message, program);
  for (const std::string& argument : arguments) append(message, argument);
  for (std::size_t i = 0; i < fillers; ++i) append(message, filler_);
  for (const std::string& variable : environment) append(message, variable);
  if (message.size() > kMaxForkRequest) return std::nullopt;

  auto pipes = make_output_pipes();
  if (!pipes) return no_room_or_throw("create", "a pipe", errno);
  const EventLoop::AllowedWait for_the_copy;
  auto reply = send_fork_request(socket_.get(), message, *pipes) ? receive(socket_.get(), timeout_) : std::nullopt;
  if (!reply) {
    // When the server has ended, either a copy that it forked answers, or there is no copy and the socket is closed. A
    // copy whose answer is not received exits, so that only the last answer counts.
    end();
    reply = receive(socket_.get(), timeout_);
    if (!reply) {
      ::shutdown(socket_.get(), SHUT_RDWR);
      reply = receive(socket_.get(), 0);
    }
    socket_.reset();
    if (!reply) return std::nullopt;
  }
  if (*reply < 0) return no_room_or_throw("start", program, -*reply);
  pipes->child_out.reset();
  pipes->child_err.reset();
  return watch_child(*reply, std::move(*pipes), program);
}

}  // namespace metaflow::base
