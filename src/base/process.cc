#include "base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

constexpr std::uint64_t kBlock = 512;  // of getrusage(2)

/// The fields of /proc/PID/stat behind the name, which may hold anything: state, parent, ... ; none if there is no such
/// process.
std::vector<std::string> stat_fields(const std::string& pid,
                                     std::optional<SharedBytes> (*read)(const std::string&) = read_file,
                                     const std::string& proc = "/proc") {
  const auto stat = read(fmt::format("{}/{}/stat", proc, pid));
  if (!stat) return {};
  const std::size_t end = stat->text().rfind(')');
  if (end == std::string_view::npos || end + 2 >= stat->size()) return {};
  return split(stat->text().substr(end + 2), ' ');
}

std::vector<char*> c_strings(const std::vector<std::string>& texts, const std::vector<std::string>& more = {}) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + more.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  for (const std::string& text : more) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

/// Nothing: errno says why.
std::optional<std::pair<Fd, Fd>> make_pipe() {
  std::array<int, 2> ends{};
  if (fails_at("start") || ::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  return std::pair(Fd(ends[0]), Fd(ends[1]));
}

/// What nohup, shells and `trap ''` ignore for a program and its children. SIGTERM is not: it asks a task to stop.
constexpr int kInherited[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN};

/// What the kernel is told to execute for the first word of a command.
std::string file_of(const std::string& program) { return program == own_executable() ? own_image() : program; }

struct SpawnAttributes {
  posix_spawnattr_t attributes;
  /// `flags`: more than POSIX_SPAWN_SETSIGDEF.
  explicit SpawnAttributes(int flags) {
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigfillset(&defaults);
    for (int signal : kInherited) {
      if (is_ignored(signal)) sigdelset(&defaults, signal);
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

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
         action.sa_handler == SIG_IGN;
}

namespace {

constexpr std::size_t kLongestString = 128 * 1024;  // MAX_ARG_STRLEN of Linux, with the zero behind it

[[noreturn]] void throw_too_long(const std::string& program, std::span<const char* const> texts,
                                 std::size_t arguments) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i] == nullptr) continue;
    const std::string_view text = texts[i];
    total += text.size() + 1;
    if (text.size() < kLongestString) continue;
    const std::string what = i < arguments ? std::string("an argument")
                                           : fmt::format("the environment variable {}", text.substr(0, text.find('=')));
    throw Error(ErrorCode::data_store,
                fmt::format("Cannot start '{}': {} has {} bytes, and the kernel passes at most {}", program, what,
                            text.size(), kLongestString - 1),
                "Put it into a file, or into an artifact.");
  }
  throw Error(ErrorCode::data_store,
              fmt::format("Cannot start '{}': its arguments and its environment have {} bytes together, and the kernel "
                          "passes at most {}",
                          program, total, ::sysconf(_SC_ARG_MAX)),
              "Put what is large into a file, or into an artifact; or raise the limit of the stack (ulimit -s): a "
              "quarter of it is for these.");
}

/// What passes when others end.
bool is_lack(int error) { return error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOMEM; }

NoRoom no_room_or_throw(std::string_view operation, std::string_view object, int error) {
  try {
    throw_errno(operation, object, error);
  } catch (const Error& why) {
    if (!is_lack(error)) throw;
    return {why};
  }
}

}  // namespace

std::variant<Child, NoRoom> try_start_process(const std::vector<std::string>& command,
                                              const std::vector<std::string>& arguments,
                                              const std::vector<std::string>& environment) {
  const SpawnAttributes spawn(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  Child child;
  auto out = make_pipe();
  auto err = out ? make_pipe() : std::nullopt;
  if (!err) return no_room_or_throw("create", "a pipe", errno);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out->second.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, err->second.get(), 2);
  const std::string& program = command[0];
  const auto argv = c_strings(command, arguments);
  const auto envp = c_strings(environment);
  const int error =
      ::posix_spawn(&child.pid, file_of(program).c_str(), &actions, &spawn.attributes, argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error == E2BIG) {
    std::vector<const char*> texts(argv.begin(), argv.end());
    texts.insert(texts.end(), envp.begin(), envp.end());
    throw_too_long(program, texts, argv.size());
  }
  if (error != 0) return no_room_or_throw("start", program, error);
  child.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
  if (!child.pidfd) {
    const int failure = errno;
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    return no_room_or_throw("watch the process of", program, failure);
  }
  child.out = std::move(out->first);
  child.err = std::move(err->first);
  for (const Fd* fd : {&child.out, &child.err}) ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  return child;
}

Child start_process(const std::vector<std::string>& command, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment) {
  auto started = try_start_process(command, arguments, environment);
  if (const auto* lacking = std::get_if<NoRoom>(&started)) throw lacking->error;
  return std::get<Child>(std::move(started));
}

int run_in_foreground(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  const SpawnAttributes spawn(0);
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

std::optional<ProcessEnd> reap(pid_t pid) {
  int status = 0;
  rusage usage{};
  pid_t found = 0;
  do {
    found = ::wait4(pid, &status, WNOHANG, &usage);
  } while (found < 0 && errno == EINTR);
  if (found != pid) return std::nullopt;
  ProcessEnd ending;
  if (WIFSIGNALED(status)) {
    ending.signal = WTERMSIG(status);
  } else {
    ending.exit_code = WEXITSTATUS(status);
  }
  ending.peak_memory = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  ending.user_seconds = seconds(usage.ru_utime);
  ending.system_seconds = seconds(usage.ru_stime);
  ending.read = static_cast<std::uint64_t>(usage.ru_inblock) * kBlock;
  ending.written = static_cast<std::uint64_t>(usage.ru_oublock) * kBlock;
  ending.dumped_core = WIFSIGNALED(status) && WCOREDUMP(status);
  return ending;
}

std::int64_t await_stop(pid_t child, std::int64_t at_most) {
  constexpr std::int64_t kStep = 2'000;
  std::int64_t waited = 0;
  for (; waited < at_most; waited += kStep) {
    siginfo_t info{};
    const int flags = WSTOPPED | WEXITED | WNOHANG | WNOWAIT;
    if (::waitid(P_PID, static_cast<id_t>(child), &info, flags) != 0 || info.si_pid != 0) break;
    ::usleep(kStep);
  }
  return waited;
}

std::string signal_name(int number) {
  const char* abbreviation = ::sigabbrev_np(number);
  return abbreviation != nullptr ? fmt::format("SIG{}", abbreviation) : fmt::format("signal {}", number);
}

void become_subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

namespace {

/// What can be listed: who clears up after a run does not fail the run.
std::vector<std::string> list_system_directory(const std::string& path) {
  try {
    return list_directory(path);
  } catch (const Error&) {
    return {};
  }
}

/// The children of this process. The kernel lists them where it was built so; else every process is asked for its
/// parent.
std::vector<pid_t> children() {
  std::vector<pid_t> found;
  bool listed = false;
  for (const std::string& thread : list_system_directory("/proc/self/task")) {
    const auto text = try_read_file("/proc/self/task/" + thread + "/children");
    if (!text) continue;
    listed = true;
    for (const std::string& pid : split(text->text(), ' ')) {
      if (const int number = std::atoi(pid.c_str()); number > 0) found.push_back(number);
    }
  }
  if (listed) return found;
  for (const std::string& name : list_system_directory("/proc")) {
    const int pid = std::atoi(name.c_str());
    if (pid <= 0) continue;
    const auto fields = stat_fields(name, try_read_file);
    if (fields.size() > 1 && std::atoi(fields[1].c_str()) == ::getpid()) found.push_back(pid);
  }
  return found;
}

}  // namespace

void kill_descendants() {
  while (true) {
    const std::vector<pid_t> left = children();
    if (left.empty()) return;
    for (pid_t pid : left) ::kill(pid, SIGKILL);
    for (pid_t pid : left) {
      while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }
}

std::size_t kill_processes_with(const std::vector<std::string>& variables) {
  std::size_t killed = 0;
  for (const std::string& name : list_directory("/proc")) {
    const pid_t pid = std::atoi(name.c_str());
    if (pid <= 0 || pid == ::getpid()) continue;
    std::optional<SharedBytes> environment;
    try {
      environment = read_file("/proc/" + name + "/environ");
    } catch (const Error&) {
      continue;  // somebody else's
    }
    if (!environment) continue;
    const auto theirs = split(environment->text(), '\0');
    const bool all = std::all_of(variables.begin(), variables.end(), [&](const std::string& variable) {
      return std::find(theirs.begin(), theirs.end(), variable) != theirs.end();
    });
    if (all && ::kill(pid, SIGKILL) == 0) ++killed;
  }
  return killed;
}

void die_with_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (parent > 0 && ::getppid() != parent) ::raise(SIGKILL);
}

std::uint64_t start_of_process(pid_t pid) {
  const auto fields = stat_fields(std::to_string(pid));
  constexpr std::size_t kStart = 19;  // field 22 of proc(5)
  if (fields.size() <= kStart || fields[0] == "Z" || fields[0] == "X") return 0;
  return std::strtoull(fields[kStart].c_str(), nullptr, 10);
}

ProcessState state_of_process(pid_t pid, std::uint64_t began, const std::string& proc) {
  constexpr std::size_t kFlags = 6;  // field 9 of proc(5)
  constexpr std::size_t kStart = 19;
  constexpr unsigned long kExiting = 0x4;  // PF_EXITING
  if (pid <= 0) return ProcessState::unknown;
  if (::kill(pid, 0) != 0 && errno == ESRCH) return ProcessState::ended;
  const auto fields = stat_fields(std::to_string(pid), try_read_file, proc);
  if (fields.size() <= kStart || began == 0) return ProcessState::unknown;
  if (fields[0] == "Z" || fields[0] == "X") return ProcessState::ended;
  if (std::strtoull(fields[kStart].c_str(), nullptr, 10) != began) return ProcessState::ended;
  const bool exiting = (std::strtoul(fields[kFlags].c_str(), nullptr, 10) & kExiting) != 0;
  return exiting ? ProcessState::ending : ProcessState::lives;
}

void prefer_as_oom_victim() {
  const Fd fd(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (fd) [[maybe_unused]]
    const ssize_t written = ::write(fd.get(), "500", 3);
}

void set_variable(std::vector<std::string>& environment, std::string variable) {
  const std::string_view name = std::string_view(variable).substr(0, variable.find('=') + 1);
  for (std::string& known : environment) {
    if (!known.starts_with(name)) continue;
    known = std::move(variable);
    return;
  }
  environment.push_back(std::move(variable));
}

std::vector<std::string> own_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  return variables;
}

}  // namespace metaflow::base
