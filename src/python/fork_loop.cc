#include "python/fork_loop.h"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

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

}  // namespace

void metaflow_serve_forks(int socket, const char** texts, size_t* size, size_t* words, size_t* variables) {
  static ReceivedFork received;
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
