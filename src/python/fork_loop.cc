#include "python/fork_loop.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "base/fork_protocol.h"

using namespace metaflow::base;  // NOLINT: this file has one function

namespace {

/// Forks a process that becomes a child of the scheduler: its parent is a process that ends at once, and the scheduler
/// adopts orphans. fork(2) with CLONE_PARENT would be shorter, but would skip the handlers that libraries registered
/// with pthread_atfork. The process in between shares the memory of this one, so that the memory is copied once.
/// Returns 0 in the new process; else its id, or a negative errno. `between`: in the new process, the id of the other.
pid_t fork_orphan(pid_t& between) {
  volatile pid_t orphan = 0;
  const pid_t helper = ::vfork();
  if (helper == 0) {
    between = static_cast<pid_t>(::syscall(SYS_getpid));
    const pid_t forked = ::fork();
    if (forked == 0) return 0;
    orphan = forked > 0 ? forked : -errno;
    ::_exit(0);
  }
  if (helper < 0) return -errno;
  int status = 0;
  while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  return orphan;
}

/// Allocates the free chunks between allocated ones, and keeps them. A forked process then allocates from the end of
/// the heap; else each small allocation would copy another page.
void take_free_chunks() {
#ifdef __GLIBC__
  constexpr std::size_t kMost = 64 << 10;
  constexpr std::size_t kStep = 16;  // malloc's
  const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(::sbrk(0)) - ::mallinfo2().keepcost;
  for (std::size_t size = kMost; size > kStep; size -= kStep) {
    void* chunk = nullptr;
    do chunk = std::malloc(size);
    while (chunk != nullptr && reinterpret_cast<std::uintptr_t>(chunk) < end);
    std::free(chunk);
  }
#endif
}

/// The text of this process's arguments from kForkServerArgument on, which ps shows. Empty if it is not found.
std::span<char> find_shown() {
  std::array<char, 4096> status{};
  const int file = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  const ssize_t size = file < 0 ? -1 : ::read(file, status.data(), status.size() - 1);
  if (file >= 0) ::close(file);
  const char* at = size > 0 ? std::strrchr(status.data(), ')') : nullptr;  // the name before it may be anything
  if (at == nullptr) return {};
  constexpr int kArgumentsBegin = 48;  // the number of the field: proc(5)
  for (int field = 2; field < kArgumentsBegin && at != nullptr; ++field) at = std::strchr(at + 1, ' ');
  if (at == nullptr) return {};
  char* next = nullptr;
  auto* begin = reinterpret_cast<char*>(std::strtoull(at, &next, 10));
  auto* const end = reinterpret_cast<char*>(std::strtoull(next, nullptr, 10));
  while (begin != nullptr && begin < end && std::strcmp(begin, kForkServerArgument) != 0)
    begin += std::strlen(begin) + 1;
  return begin != nullptr && begin < end ? std::span<char>(begin, end) : std::span<char>();
}

/// Shows the arguments of the task, without the first, as far as there is room.
void show_arguments(std::span<char> shown, const ReceivedFork& received) {
  if (shown.empty()) return;
  std::span<char> texts = received.texts;
  texts = texts.subspan(std::min(std::strlen(texts.data()) + 1, texts.size()));
  std::size_t size = 0;  // of the arguments
  for (std::size_t i = 1; i < received.request.words; ++i) size += std::strlen(texts.data() + size) + 1;
  std::memset(shown.data(), 0, shown.size());
  std::memcpy(shown.data(), texts.data(), std::min(size, shown.size() - 1));
}

}  // namespace

void metaflow_serve_forks(int socket, const char** texts, size_t* size, size_t* words, size_t* variables) {
  static ReceivedFork received;
  const std::span<char> shown = find_shown();
  take_free_chunks();
  if (!reply_to_fork(socket, kForkServerReady)) ::_exit(0);
  while (receive_fork(socket, received)) {
    pid_t between = 0;
    const pid_t forked = fork_orphan(between);
    if (forked != 0) {
      if (forked < 0) reply_to_fork(socket, forked);
      close_streams(received);
      continue;
    }
    enter_fork(received);
    show_arguments(shown, received);
    // The scheduler waits for its own children only.
    while (::getppid() == between) ::sched_yield();
    if (!reply_to_fork(socket, ::getpid())) ::_exit(0);
    ::close(socket);
    *texts = received.texts.data();
    *size = received.texts.size();
    *words = received.request.words;
    *variables = received.request.variables;
    return;
  }
  ::_exit(0);
}
