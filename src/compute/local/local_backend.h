// Attempts as child processes on this machine.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/memory_group.h"
#include "base/process.h"
#include "compute/backend.h"
#include "compute/local/machine.h"

namespace metaflow::compute {

class LocalBackend : public Backend {
 public:
  /// `command`: the words that start the flow, which knows the command `step` (base::own_command). `environment`: of
  /// every task, without what attempts add. `requests`: by step, of those that wait until there is room for them.
  LocalBackend(base::EventLoop& loop, BackendEvents& events, std::vector<std::string> command,
               std::vector<std::string> environment, std::map<std::string, Request> requests);
  ~LocalBackend() override;

  bool has_room(const std::string& step) const override;
  void submit(const Attempt& attempt) override;
  void stop(std::span<const AttemptId> attempts, Stop how) override;
  void hold_output(bool held) override;
  void end(Stop how) override;

 private:
  struct Process {
    AttemptId id;
    base::Child child;
    bool out_open = true;
    bool err_open = true;
    Grant grant;  // of the machine
    std::optional<base::MemoryGroup> group;
    std::optional<base::EventLoop::Timer> deadline;
    bool killed_late = false;
  };

  void watch_output(Process& process);
  /// Tells what can be read now; false at the end of the stream.
  bool read(Process& process, store::Stream stream);
  void on_readable(Process& process, store::Stream stream);
  /// Tells what is in the pipe now, and no more: somebody else may go on writing.
  void drain(Process& process, store::Stream stream);
  void on_ended(Process& process);
  void close(Process& process, store::Stream stream);

  base::EventLoop& loop_;
  BackendEvents& events_;
  std::vector<std::string> command_;
  std::vector<std::string> environment_;
  std::map<std::string, Request> requests_;
  Machine machine_;
  std::string buffer_;
  std::map<AttemptId, std::unique_ptr<Process>> processes_;
  bool held_ = false;
};

}  // namespace metaflow::compute
