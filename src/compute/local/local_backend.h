// Attempts as child processes on this host.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <metaflow/error.h>

#include "base/event_loop.h"
#include "base/fork_server.h"
#include "base/memory_group.h"
#include "base/process.h"
#include "compute/backend.h"
#include "compute/local/machine.h"

namespace metaflow::compute {

/// If this host lacks resources for another process (its limits of processes and file descriptors, its memory), an
/// attempt waits until another one has ended, or resources are free. If no attempt runs, it is reported as finished.
/// Not thread-safe.
class LocalBackend : public Backend {
 public:
  /// `command`: the words that start the flow, which knows the command `step` (base::own_command). `environment`: of
  /// every task, without the additions of attempts. `requests`: by step, of steps that wait until there is room for
  /// them. `forks`: `command` also knows kForkServerArgument (base/fork_protocol.h).
  LocalBackend(base::EventLoop& loop, BackendEvents& events, std::vector<std::string> command,
               std::vector<std::string> environment, std::map<std::string, Request> requests, bool forks = false);
  ~LocalBackend() override;

  bool has_room(const std::string& step) const override;
  void submit(const Attempt& attempt) override;
  void stop(std::span<const AttemptId> attempts, Stop how) override;
  void hold_output(bool held) override;
  /// Stops whole process groups. The clock of a step's time limit pauses meanwhile. The backend's own timer, for steps
  /// that do not end themselves, starts anew.
  void suspend() override;
  void proceed() override;
  void end(Stop how) override;

 private:
  struct Process {
    AttemptId id;
    base::Child child;
    bool out_open = true;
    bool err_open = true;
    Grant grant;  // of the machine
    std::optional<base::MemoryGroup> group;
    std::int64_t time_limit = 0;  // microseconds; 0: none
    std::optional<base::EventLoop::Timer> deadline;
    bool killed_late = false;
  };

  std::variant<base::Child, base::NoRoom> start(const std::vector<std::string>& arguments,
                                                const std::vector<std::string>& environment);
  /// Returns why there is no room now; nothing: the attempt was started, or reported as finished.
  std::optional<Error> try_to_start(const Attempt& attempt);
  void start_waiting();
  /// Whether attempts wait for the fork server of another program, which this starts.
  bool is_loading();
  void end_loading();
  void retry_later();
  void reap_orphans();
  /// Reports later, from the loop.
  void report_not_started(AttemptId id, const std::string& cause);
  void arm_deadline(Process& process);
  void watch_output(Process& process);
  /// Reports the output that can be read now; false at the end of the stream.
  bool read(Process& process, store::Stream stream);
  void on_readable(Process& process, store::Stream stream);
  /// Reports what is in the pipe now, and no more: another process may go on writing.
  void drain(Process& process, store::Stream stream);
  void on_ended(Process& process);
  void close(Process& process, store::Stream stream);

  base::EventLoop& loop_;
  BackendEvents& events_;
  std::vector<std::string> command_;
  bool forks_;
  std::vector<std::string> environment_;
  std::size_t started_ = 0;
  std::optional<base::ForkServer> fork_server_;          // once enough was started
  std::optional<base::EventLoop::Timer> loading_timer_;  // while attempts wait for it
  std::map<std::string, Request> requests_;
  Machine machine_;
  std::string buffer_;
  std::map<AttemptId, std::unique_ptr<Process>> processes_;
  std::vector<pid_t> groups_;    // of attempts that have ended: they may have left processes behind
  std::deque<Attempt> waiting_;  // for room, or for the fork server
  std::optional<base::EventLoop::Timer> retry_timer_;
  bool held_ = false;
};

}  // namespace metaflow::compute
