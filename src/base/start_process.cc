// Starts processes: process.h, spawn.h.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <initializer_list>
#include <span>
#include <utility>

#include <metaflow/error.h>

#include "base/event_loop.h"
#include "base/failure_points.h"
#include "base/format.h"
#include "base/process.h"
#include "base/spawn.h"

namespace metaflow::base {

namespace {

/// Signals that a new program does not ignore even if this process or its parent does. exec resets handlers anyway. All
/// other ignored signals stay ignored, as nohup, shells and `trap ''` expect. SIGTERM asks a task to stop.
constexpr int kNotIgnored[] = {SIGTERM, SIGALRM, SIGPIPE, SIGCHLD, SIGXFSZ, SIGTTOU};

/// The file that the kernel executes for a program.
std::string file_of(const std::string& program) { return program == own_executable() ? own_image() : program; }

struct SpawnAttributes {
  posix_spawnattr_t attributes;
  /// `flags`: in addition to POSIX_SPAWN_SETSIGDEF. `as_now`: reset in the program unless they are ignored now.
  explicit SpawnAttributes(int flags, std::initializer_list<int> as_now = {}) {
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (int signal : kNotIgnored) sigaddset(&defaults, signal);
    for (int signal : as_now) {
      if (!is_ignored(signal)) sigaddset(&defaults, signal);
    }
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(&attributes, static_cast<short>(POSIX_SPAWN_SETSIGDEF | flags));
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
};

}  // namespace

std::optional<OutputPipes> make_output_pipes() {
  std::array<int, 4> ends{-1, -1, -1, -1};
  const bool made = !fails_at("start") && ::pipe2(&ends[0], O_CLOEXEC) == 0 && ::pipe2(&ends[2], O_CLOEXEC) == 0;
  const int error = errno;
  OutputPipes pipes{.out = Fd(ends[0]), .child_out = Fd(ends[1]), .err = Fd(ends[2]), .child_err = Fd(ends[3])};
  errno = error;
  if (!made) return std::nullopt;
  return pipes;
}

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
         action.sa_handler == SIG_IGN;
}

namespace {

[[noreturn]] void throw_too_long(const std::string& program, std::span<const char* const> texts,
                                 std::size_t arguments) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i] == nullptr) continue;
    const std::string_view text = texts[i];
    total += text.size() + 1;
    if (text.size() < kMaxArgumentSize) continue;
    const std::string what = i < arguments ? std::string("an argument")
                                           : fmt::format("the environment variable {}", text.substr(0, text.find('=')));
    throw Error(ErrorCode::data_store,
                fmt::format("Cannot start '{}': {} has {} bytes; the kernel's limit is {}", program, what, text.size(),
                            kMaxArgumentSize - 1),
                "Put the value into a file or an artifact.");
  }
  throw Error(
      ErrorCode::data_store,
      fmt::format(
          "Cannot start '{}': its arguments and its environment have {} bytes together; the kernel's limit is {}",
          program, total, ::sysconf(_SC_ARG_MAX)),
      "Put large values into a file or an artifact, or raise the stack limit (ulimit -s): a quarter of it is available "
      "for these.");
}

/// Errors that may disappear when other processes end.
bool may_be_temporary(int error) { return error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOMEM; }

}  // namespace

NoRoom no_room_or_throw(std::string_view operation, std::string_view object, int error) {
  try {
    throw_errno(operation, object, error);
  } catch (const Error& why) {
    if (!may_be_temporary(error)) throw;
    return {why};
  }
}

std::vector<char*> c_strings(const std::vector<std::string>& texts, const std::vector<std::string>& more) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + more.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  for (const std::string& text : more) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

int spawn(pid_t& pid, const std::string& program, std::span<char* const> argv, std::span<char* const> envp,
          const std::array<int, 3>& streams, Leads leads) {
  const SpawnAttributes attributes(POSIX_SPAWN_SETSIGMASK |
                                   (leads == Leads::group ? POSIX_SPAWN_SETPGROUP : POSIX_SPAWN_SETSID));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (int number = 0; number < 3; ++number) {
    const int fd = streams[static_cast<std::size_t>(number)];
    if (fd >= 0) {
      ::posix_spawn_file_actions_adddup2(&actions, fd, number);
    } else {
      ::posix_spawn_file_actions_addopen(&actions, number, "/dev/null", number == 0 ? O_RDONLY : O_WRONLY, 0);
    }
  }
  const EventLoop::AllowedWait for_the_program;
  const int error =
      ::posix_spawn(&pid, file_of(program).c_str(), &actions, &attributes.attributes, argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

std::variant<Child, NoRoom> watch_child(pid_t pid, OutputPipes pipes, const std::string& program) {
  Child child;
  child.pid = pid;
  child.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!child.pidfd) {
    const int failure = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return no_room_or_throw("watch the process of", program, failure);
  }
  child.out = std::move(pipes.out);
  child.err = std::move(pipes.err);
  for (const Fd* fd : {&child.out, &child.err}) ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  return child;
}

namespace {

std::variant<Child, NoRoom> start_leader(Leads leads, const std::vector<std::string>& command,
                                         const std::vector<std::string>& arguments,
                                         const std::vector<std::string>& environment) {
  auto pipes = make_output_pipes();
  if (!pipes) return no_room_or_throw("create", "a pipe", errno);
  const std::string& program = command[0];
  const auto argv = c_strings(command, arguments);
  const auto envp = c_strings(environment);
  pid_t pid = 0;
  const int error = spawn(pid, program, argv, envp, {-1, pipes->child_out.get(), pipes->child_err.get()}, leads);
  if (error == E2BIG) {
    std::vector<const char*> texts(argv.begin(), argv.end());
    texts.insert(texts.end(), envp.begin(), envp.end());
    throw_too_long(program, texts, argv.size());
  }
  if (error != 0) return no_room_or_throw("start", program, error);
  return watch_child(pid, std::move(*pipes), program);
}

}  // namespace

std::variant<Child, NoRoom> try_start_process(const std::vector<std::string>& command,
                                              const std::vector<std::string>& arguments,
                                              const std::vector<std::string>& environment) {
  return start_leader(Leads::group, command, arguments, environment);
}

Child start_process(const std::vector<std::string>& command, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment) {
  auto started = start_leader(Leads::session, command, arguments, environment);
  if (const auto* lacking = std::get_if<NoRoom>(&started)) throw lacking->error;
  return std::get<Child>(std::move(started));
}

int run_in_foreground(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  const SpawnAttributes spawn(0, {SIGINT, SIGQUIT});
  const auto on_interrupt = ::signal(SIGINT, SIG_IGN);
  const auto on_quit = ::signal(SIGQUIT, SIG_IGN);
  const auto argv = c_strings(command);
  const auto envp = c_strings(environment);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, command[0].c_str(), nullptr, &spawn.attributes, argv.data(), envp.data());
  if (error != 0) throw_errno("start", command[0], error);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  ::signal(SIGINT, on_interrupt);
  ::signal(SIGQUIT, on_quit);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace metaflow::base
