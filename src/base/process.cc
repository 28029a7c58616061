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
#include <initializer_list>
#include <span>
#include <utility>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

constexpr std::uint64_t kBlock = 512;  // of getrusage(2)

/// The fields of /proc/PID/stat after the name, which may contain any characters: state, parent, ...; empty if the
/// process does not exist.
std::vector<std::string> stat_fields(const std::string& pid,
                                     std::optional<SharedBytes> (*read)(const std::string&) = read_file,
                                     const std::string& proc = "/proc") {
  const auto stat = read(fmt::format("{}/{}/stat", proc, pid));
  if (!stat) return {};
  const std::size_t end = stat->text().rfind(')');
  if (end == std::string_view::npos || end + 2 >= stat->size()) return {};
  return split(stat->text().substr(end + 2), ' ');
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

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

/// An unreadable directory counts as empty: a cleanup must not fail the run.
std::vector<std::string> list_system_directory(const std::string& path) {
  try {
    return list_directory(path);
  } catch (const Error&) {
    return {};
  }
}

/// The children of this process. Kernels without /proc/.../children require a look at the parent of every process.
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
      continue;  // a process of another user
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

std::uint64_t process_start_time(pid_t pid) {
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
