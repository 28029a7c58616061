// The resources of this host, and what tasks with `--with local` get of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/decorators.h"

namespace metaflow::compute {

/// The resources that a task requests.
struct Request {
  double cpus = 1;
  std::uint64_t memory = 0;  // bytes; 0: any
  std::size_t gpus = 0;
  bool enforce = false;  // the memory is a hard limit
};

/// Returns the request of a step with the decorator `local`; nothing for other steps.
std::optional<Request> local_request(const std::vector<graph::Decorator>& decorators);

/// The resources that a task got.
struct Grant {
  Request request;
  std::vector<std::string> gpus;  // names of devices
  bool granted = false;

  /// Returns the hard limit in bytes; 0: none.
  std::uint64_t memory_limit() const { return request.enforce ? request.memory : 0; }
};

/// How many tasks with one request fit on a host.
struct Room {
  std::size_t tasks = 0;
  std::string reason{};  // "1 core, and this host has 2": the resource that is exhausted first
};

class Machine {
 public:
  /// This host, within affinity, control groups and CUDA_VISIBLE_DEVICES. METAFLOW_LOCAL_GPUS=0,1 names devices that
  /// cannot be detected.
  Machine();
  Machine(double cpus, std::uint64_t memory, std::vector<std::string> gpus);

  /// Throws Error{invalid_command}, naming the step, if a request can never be met.
  void check(const std::string& step, const Request& request) const;
  bool fits(const Request& request) const;
  /// For the whole host. The request passes check().
  Room room_for(const Request& request) const;
  Grant take(const Request& request);
  void give_back(Grant& grant);

  /// Returns the variables of a task: its devices, and the number of threads for OpenMP and similar libraries unless
  /// the user has set it.
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
