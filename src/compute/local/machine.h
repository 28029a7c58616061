// What this machine has, and what tasks with `--with local` have of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/decorators.h"

namespace metaflow::compute {

/// What a task asks for.
struct Request {
  double cpus = 1;
  std::uint64_t memory = 0;  // bytes; 0: does not matter
  std::size_t gpus = 0;
  bool enforce = false;  // its memory is a hard limit
};

/// The request of a step that is to be honoured here: of one with the decorator `local`.
std::optional<Request> local_request(const std::vector<graph::Decorator>& decorators);

/// What a task was given.
struct Grant {
  Request request;
  std::vector<std::string> gpus;  // names of devices
  bool granted = false;

  /// Bytes, hard; 0: none.
  std::uint64_t memory_limit() const { return request.enforce ? request.memory : 0; }
};

class Machine {
 public:
  /// This machine, within affinity, control groups and CUDA_VISIBLE_DEVICES; METAFLOW_LOCAL_GPUS=0,1 names the devices
  /// where they cannot be found.
  Machine();
  Machine(double cpus, std::uint64_t memory, std::vector<std::string> gpus);

  /// Throws Error{invalid_command}, naming the step, if a request can never be met.
  void check(const std::string& step, const Request& request) const;
  bool fits(const Request& request) const;
  Grant take(const Request& request);
  void give_back(Grant& grant);

  /// Variables that tell a task what it was given: devices, and the number of threads for OpenMP and its relatives
  /// unless the user has set it.
  std::vector<std::string> environment(const Grant& grant) const;

 private:
  double cpus_;
  std::uint64_t memory_;
  std::size_t all_gpus_;
  double free_cpus_;
  std::uint64_t free_memory_;
  std::vector<std::string> free_gpus_;
};

}  // namespace metaflow::compute
