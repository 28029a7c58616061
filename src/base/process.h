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

/// A process that was started, with the reading ends of its output.
struct Child {
  pid_t pid = 0;
  Fd pidfd;  // readable when the process has ended
  Fd out;    // not blocking
  Fd err;
};

/// Whether this process ignores a signal. If it did when it began, its parent wanted that (SIGHUP under nohup, SIGINT
/// of a background job of a script), and the signal stays ignored, here and in the programs that it starts. The program
/// itself ignores SIGPIPE, SIGXFSZ and SIGTTOU only.
bool is_ignored(int signal);

/// Starts a program: standard input is empty, the other two are pipes, the process leads a session of its own, so that
/// there is no terminal which it could ask for a password: that would wait for ever, in the background. Signals have
/// their defaults, except those that the parent of this process wants ignored. `command`: the words that start it, the
/// first being its path; if that is this program's own, the file that this process was started from is executed,
/// whatever has that path now. `environment`: all of it. Throws Error{data_store} if it cannot be started.
Child start_process(const std::vector<std::string>& command, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment);

/// Why there is no room for another process: processes, file descriptors or memory, of which others may give some back.
/// Its hint names the limit.
struct NoRoom {
  Error error;
};
/// The same; but where it may succeed later, that is no error: NoRoom. The process leads a group of this one's session:
/// what is sent to it can stop it (SIGTSTP), and its terminal is this one's, of which a scheduler has none (guard.h).
std::variant<Child, NoRoom> try_start_process(const std::vector<std::string>& command,
                                              const std::vector<std::string>& arguments,
                                              const std::vector<std::string>& environment);

/// Runs a program with this process's terminal, and waits for it: its exit status, or 128 and the signal's number.
/// Ctrl-C is for the program. Throws Error{data_store} if it cannot be started.
int run_in_foreground(const std::vector<std::string>& command, const std::vector<std::string>& environment);

/// MAX_ARG_STRLEN of Linux: bytes of an argument, or of NAME=value, with the zero behind it.
inline constexpr std::size_t kLongestString = 128 * 1024;

/// How a process ended and what it used.
struct ProcessEnd {
  int exit_code = 0;  // when signal is 0
  int signal = 0;
  std::uint64_t peak_memory = 0;  // bytes, of the largest process
  double user_seconds = 0;
  double system_seconds = 0;
  std::uint64_t read = 0;     // bytes from disks
  std::uint64_t written = 0;  // bytes to disks
  bool dumped_core = false;
};

/// Reaps a process that has ended; nothing if it has not.
std::optional<ProcessEnd> reap(pid_t pid);

/// Waits until a child is stopped (SIGSTOP and the like) or has ended, at most so many microseconds: how
/// long that took. It is not reaped.
std::int64_t await_stop(pid_t child, std::int64_t at_most);

/// "SIGKILL", "signal 99"
std::string signal_name(int number);

/// This process becomes the parent of descendants whose own parent is gone.
void become_subreaper();
/// Kills every child (with become_subreaper: every descendant), until there is none. For when a run is over.
void kill_descendants();

/// Kills every process of this machine that has all of these variables (NAME=value) in its environment, except this
/// one; how many. For what was left by one that is gone.
std::size_t kill_processes_with(const std::vector<std::string>& variables);

/// The kernel kills this process when its parent dies. Does so at once if that has happened already: `parent` is who it
/// should be.
void die_with_parent(pid_t parent);

/// When a process began, in ticks since the machine did: together with its id this names a process for ever. 0 if there
/// is no such process, or it is a zombie.
std::uint64_t start_of_process(pid_t pid);

/// What can be seen of a process that began at `began` (start_of_process). `unknown`: /proc does not show it (hidepid),
/// and nothing proves that it has ended. `ending`: the kernel is about to end it. `proc`: for tests.
enum class ProcessState : std::uint8_t { lives, ending, ended, unknown };
ProcessState state_of_process(pid_t pid, std::uint64_t began, const std::string& proc = "/proc");

/// The kernel prefers this process when memory runs out.
void prefer_as_oom_victim();

/// The file of this program; not that of the loader, where the program was started as an argument of one. What has this
/// path may be another one by now.
std::string own_executable();
/// The same, for reading and executing: also when the file was replaced since this process began. It is a name that
/// only this process has for it, and what it forks.
std::string own_image();
/// The words that start this program again: its path. Where it was started through a loader, as a package does
/// (docs/decisions/bundled-loader.md), that loader, the directories of its libraries, and the path.
std::vector<std::string> own_command();

/// This process's environment, as NAME=value.
std::vector<std::string> own_environment();
/// Sets a variable (NAME=value) in such a list, instead of the one of that name that it has.
void set_variable(std::vector<std::string>& environment, std::string variable);

}  // namespace metaflow::base
