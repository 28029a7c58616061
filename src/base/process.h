// Child processes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <metaflow/error.h>

#include "base/files.h"

namespace metaflow::base {

/// A started process, with the reading ends of its output pipes.
struct Child {
  pid_t pid = 0;
  Fd pidfd;  // readable when the process has ended
  Fd out;    // non-blocking
  Fd err;
};

/// Whether this process ignores a signal. A signal that was ignored at startup (SIGHUP under nohup, SIGINT of a
/// background job of a script) stays ignored, here and in child processes. The program itself ignores only SIGPIPE,
/// SIGXFSZ and SIGTTOU.
bool is_ignored(int signal);

/// Starts a program: standard input is empty, the other two are pipes. The process leads its own session, without a
/// terminal on which it could ask for a password and wait for ever. Signals have their defaults, except those ignored
/// at startup (is_ignored). `command`: the path, and arguments that come before `arguments`. If the path is this
/// program's own, the file that this process was started from is executed, even if the path now names another file.
/// `environment`: the complete environment. Throws Error{data_store} if it cannot be started.
Child start_process(const std::vector<std::string>& command, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment);

/// A process could not be started because a limit is reached: processes, file descriptors or memory. It may succeed
/// later. The hint of the error names the limit.
struct NoRoom {
  Error error;
};
/// The same, but returns NoRoom for a failure that may be temporary. The process leads a group in this process's
/// session, so that it can be stopped (SIGTSTP). Its terminal is that of this process; a scheduler has none (guard.h).
std::variant<Child, NoRoom> try_start_process(const std::vector<std::string>& command,
                                              const std::vector<std::string>& arguments,
                                              const std::vector<std::string>& environment);

/// Runs a program on this process's terminal and waits for it. Returns its exit code, or 128 + the signal number.
/// Ctrl-C goes to the program. Throws Error{data_store} if it cannot be started.
int run_in_foreground(const std::vector<std::string>& command, const std::vector<std::string>& environment);

/// MAX_ARG_STRLEN of Linux: maximal bytes of an argument, or of NAME=value, with the terminating zero.
inline constexpr std::size_t kMaxArgumentSize = 128 * 1024;

/// The exit status and resource usage of a process.
struct ProcessEnd {
  int exit_code = 0;  // when signal is 0
  int signal = 0;
  std::uint64_t peak_memory = 0;  // bytes, of the largest process of its tree
  double user_seconds = 0;
  double system_seconds = 0;
  std::uint64_t read = 0;     // bytes from disks
  std::uint64_t written = 0;  // bytes to disks
  bool dumped_core = false;
};

/// Reaps a process that has ended; nothing if it is still running.
std::optional<ProcessEnd> reap(pid_t pid);

/// Waits until a child is stopped (SIGSTOP and the like) or has ended, but at most `at_most` microseconds. Returns the
/// time waited. Does not reap the child.
std::int64_t await_stop(pid_t child, std::int64_t at_most);

/// "SIGKILL", "signal 99"
std::string signal_name(int number);

/// Makes this process the parent of descendants whose own parent has ended.
void become_subreaper();
/// Kills every child (with become_subreaper: every descendant) until there is none. For the end of a run.
void kill_descendants();

/// Kills every process of this machine that has all of these variables (NAME=value) in its environment, except this
/// one. Returns their number. Cleans up after a scheduler that was killed.
std::size_t kill_processes_with(const std::vector<std::string>& variables);

/// Makes the kernel kill this process when its parent dies. Kills it at once if `parent`, the expected parent, has died
/// already.
void die_with_parent(pid_t parent);

/// The start time of a process, in clock ticks since boot. Together with the process id it identifies a process. 0 if
/// the process does not exist, or is a zombie.
std::uint64_t process_start_time(pid_t pid);

/// The state of a process that was started at `began` (process_start_time). `unknown`: /proc does not show it
/// (hidepid), and nothing proves that it has ended. `ending`: the kernel is about to end it. `proc`: for tests.
enum class ProcessState : std::uint8_t { lives, ending, ended, unknown };
ProcessState state_of_process(pid_t pid, std::uint64_t began, const std::string& proc = "/proc");

/// Makes the kernel prefer this process as a victim when memory runs out.
void prefer_as_oom_victim();

/// The file of this program, even if it was started through a loader. The path may name another file by now.
std::string own_executable();
/// A path for reading and executing the file of this program, even if the file has been replaced since the start. Only
/// valid in this process and its forks.
std::string own_image();
/// The command that starts this program again: its path. If it was started through a loader, as in a package
/// (docs/decisions/bundled-loader.md): the loader, the directories of its libraries, and the path.
std::vector<std::string> own_command();

/// This process's environment, as NAME=value.
std::vector<std::string> own_environment();
/// Sets a variable (NAME=value) in such a list; replaces an existing one of that name.
void set_variable(std::vector<std::string>& environment, std::string variable);

}  // namespace metaflow::base
