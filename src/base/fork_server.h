// Starts processes of this program at a fraction of the cost of exec: it forks a process of the program that the loader
// has already set up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/files.h"
#include "base/process.h"

namespace metaflow::base {

/// The server is a process of this program, stopped before any C++ code ran: static constructors run in each copy, as
/// after exec, so that copies share no random numbers, threads or devices. Copies share only the loader's decisions:
/// the memory layout. Only for programs whose main is run_program (cli/main.h). Not thread-safe.
class ForkServer {
 public:
  /// False under sanitizers, and if the flow is in a shared object.
  static bool is_possible();

  static constexpr int kTimeout = 1000;
  /// `argument_count`: the maximal number of arguments of a process; shorter command lines are padded at their end with
  /// `filler`. `environment`: roughly that of the processes. `timeout`: time limit in milliseconds for starting one
  /// process; a server that exceeds it is ended. Does not throw: a server that cannot start processes reports none.
  ForkServer(std::size_t argument_count, std::string filler, const std::vector<std::string>& environment,
             int timeout = kTimeout);
  /// A server of another program, which speaks fork_protocol.h: `command` and kForkServerArgument start it. It loads
  /// what its processes have in common, and forks. Until it has said that it is ready, it starts no process.
  ForkServer(std::vector<std::string> command, const std::vector<std::string>& environment, int timeout = kTimeout);
  /// Readable once a server of another program is ready, or has ended; -1 without a server.
  int socket() const { return socket_.get(); }
  /// Ends the server. The processes that it has started continue.
  ~ForkServer();
  ForkServer(const ForkServer&) = delete;
  ForkServer& operator=(const ForkServer&) = delete;

  /// As try_start_process({own_executable()}, ...), or with the command of the other program: the process is a child of
  /// this one. Nothing: the server cannot start this process; use try_start_process.
  std::optional<std::variant<Child, NoRoom>> try_start(const std::vector<std::string>& arguments,
                                                       const std::vector<std::string>& environment);

 private:
  void start(const std::string& program, const std::vector<std::string>& command,
             const std::vector<std::string>& environment);
  bool is_ready();
  void end();

  int timeout_;
  std::vector<std::string> command_;  // of another program
  bool ready_ = true;
  std::size_t argument_count_ = SIZE_MAX;
  std::string filler_;
  std::size_t most_variables_ = SIZE_MAX;
  std::vector<std::string> for_loader_;  // variables
  Fd server_;                            // pidfd of the server; none: no server
  Fd socket_;
};

}  // namespace metaflow::base
