// Starts processes of this program at a fraction of what exec costs: another process of it has done what the loader
// does, and is copied.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/files.h"
#include "base/process.h"

namespace metaflow::base {

/// The server is a process of this program that was stopped before anything of C++ began: constructors of what is
/// static run in each copy, as after exec, so that none shares random numbers, threads or devices with another. What a
/// copy shares is what the loader has decided: where things are in memory. Only for programs whose main is run_program
/// (cli/main.h). Not thread-safe.
class ForkServer {
 public:
  /// Whether there can be one: not under sanitizers, and not where the flow is in a shared object.
  static bool is_possible();

  static constexpr int kPatience = 1000;
  /// `argument_count`: of the processes, at most; shorter command lines are filled with `filler`, in front.
  /// `environment`: about what they get. `patience`: milliseconds that it may take to start one, which is less than one
  /// of them; who does not keep to that is ended. Nothing is thrown: where it cannot serve, it serves nothing.
  ForkServer(std::size_t argument_count, std::string filler, const std::vector<std::string>& environment,
             int patience = kPatience);
  /// Ends it. What it has started goes on.
  ~ForkServer();
  ForkServer(const ForkServer&) = delete;
  ForkServer& operator=(const ForkServer&) = delete;

  /// As try_start_process({own_executable()}, ...): the process is a child of this one. Nothing: it does not serve this
  /// one, or not any more; try_start_process does.
  std::optional<std::variant<Child, NoRoom>> try_start(const std::vector<std::string>& arguments,
                                                       const std::vector<std::string>& environment);

 private:
  void end();

  int patience_;
  std::size_t argument_count_;
  std::string filler_;
  std::size_t most_variables_;
  std::vector<std::string> for_loader_;  // variables
  Fd server_;                            // its pidfd; none: it does not serve
  Fd socket_;
};

}  // namespace metaflow::base
