// The server process of fork_server.h. It serves requests in the first function of a program that is called
// (.preinit_array of the System V ABI): everything is loaded, but no code has run, not even constructors of the
// libraries. Each copy returns from here and starts like any program, with the requested arguments and variables: they
// replace those that the kernel had passed to the server.
//
// The C library is hardly initialised here either. So this file uses only system calls: no heap, no exceptions.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "base/fork_protocol.h"

namespace metaflow::base {

namespace {

/// The request, in the server and in its copies; the arguments and variables of a copy stay here.
ReceivedFork received;  // NOLINT: there are no constructors yet

/// The data that the kernel passes to a new program.
struct InitialArguments {
  std::span<char*> words;
  std::span<char*> variables;
  std::span<char> shown;  // the text of the arguments, which ps shows
};

InitialArguments find_initial_arguments(int argc, char** argv, char** envp) {
  std::size_t variables = 0;
  while (envp[variables] != nullptr) ++variables;
  char* const last = argv[argc - 1];
  return {.words = {argv, static_cast<std::size_t>(argc)},
          .variables = {envp, variables},
          .shown = {argv[0], last + std::strlen(last) + 1}};
}

/// Replaces only pointers: the server was started with as many arguments, and at least as many variables.
void replace_arguments(const InitialArguments& initial) {
  char* text = received.texts.data();
  auto next = [&text] {
    char* const found = text;
    text += std::strlen(text) + 1;
    return found;
  };
  std::size_t shown = 0;
  for (char*& word : initial.words) {
    word = next();
    for (const char* c = word; shown + 1 < initial.shown.size(); ++c) {
      initial.shown[shown++] = *c;
      if (*c == '\0') break;
    }
  }
  for (; shown < initial.shown.size(); ++shown) initial.shown[shown] = '\0';
  // Some code looks behind the terminating null for the auxiliary vector (getauxval): remaining entries become zero.
  for (std::size_t i = 0; i < initial.variables.size(); ++i)
    initial.variables[i] = i < received.request.variables ? next() : nullptr;
}

/// fork(2) of the C library, except that the copies are children of this process's parent.
pid_t fork_sibling(int* thread_id) {
  constexpr unsigned long kFlags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#ifdef __s390x__
  return static_cast<pid_t>(::syscall(SYS_clone, nullptr, kFlags | SIGCHLD, nullptr, thread_id, nullptr));
#elif defined(__x86_64__)
  return static_cast<pid_t>(::syscall(SYS_clone, kFlags | SIGCHLD, nullptr, nullptr, thread_id, nullptr));
#else
  return static_cast<pid_t>(::syscall(SYS_clone, kFlags | SIGCHLD, nullptr, nullptr, nullptr, thread_id));
#endif
}

/// Returns only in the copies.
void serve(int argc, char** argv, char** envp) {
  if (!is_fork_server(argc, argv)) return;
  const InitialArguments initial = find_initial_arguments(argc, argv, envp);
  const int socket = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  ::close(STDIN_FILENO);
  // Where the C library keeps the thread's id, which differs in each copy.
  int* thread_id = nullptr;
  void* robust_list = nullptr;
  std::size_t robust_size = 0;
  if (socket < 0 || ::open("/dev/null", O_RDONLY) != STDIN_FILENO ||
      ::prctl(PR_GET_TID_ADDRESS, &thread_id, 0, 0, 0) != 0 ||
      ::syscall(SYS_get_robust_list, 0, &robust_list, &robust_size) != 0) {
    ::_exit(1);
  }
  while (receive_fork(socket, received)) {
    const bool fits =
        received.request.words == initial.words.size() && received.request.variables <= initial.variables.size();
    const pid_t copy = fits ? fork_sibling(thread_id) : -1;
    if (copy == 0) {
      ::syscall(SYS_set_robust_list, robust_list, robust_size);
      enter_fork(received);
      replace_arguments(initial);
      // A client that has timed out (this copy was stopped, or the machine is slow) starts another process instead.
      if (!reply_to_fork(socket, ::getpid())) ::_exit(0);
      ::close(socket);
      return;
    }
    if (copy < 0) reply_to_fork(socket, fits ? -errno : -E2BIG);
    close_streams(received);
  }
  ::_exit(0);
}

__attribute__((section(".preinit_array"), used)) void (*const at_the_very_beginning)(int, char**, char**) = serve;

}  // namespace
}  // namespace metaflow::base

// Programs refer to this name in order to link this file (CMakeLists.txt). Shared objects do not: they cannot have a
// .preinit_array.
extern "C" void metaflow_fork_server_entry() {}
