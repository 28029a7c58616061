// What a task asks of AWS Batch, with everything decided: no defaults and no settings are left to look up. What cannot
// be known without asking Batch is which machines a queue has.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/settings.h"
#include "compute/remote/platform_settings.h"
#include "graph/decorators.h"

namespace metaflow::awsbatch {

/// The machines of a job queue.
enum class Machines : std::uint8_t { ec2, spot, fargate, fargate_spot };
inline bool is_fargate(Machines machines) {
  return machines == Machines::fargate || machines == Machines::fargate_spot;
}
std::string_view name_of(Machines machines);  // "EC2 Spot"

struct Volume {
  std::string source{};  // a path of the host, or a file system's id
  std::string mount{};   // where the container has it
  bool operator==(const Volume&) const = default;
};

/// What a step asks of its job: a member for each attribute of the decorator, which are as many as Batch offers.
struct BatchRequest {
  double cpu = 1;        // vCPUs
  double memory = 4096;  // MiB
  int gpu = 0;
  std::string image{};
  std::string queue{};  // empty: the first that takes jobs
  std::string iam_role{};
  std::string execution_role{};
  std::optional<int> shared_memory{};  // MiB
  std::optional<int> max_swap{};       // MiB
  std::optional<int> swappiness{};
  int neuron_devices = 0;
  int efa = 0;
  std::vector<Volume> host_volumes{};
  std::vector<Volume> efs_volumes{};
  compute::Tmpfs tmpfs{};
  std::optional<int> ephemeral_storage{};  // GiB
  std::map<std::string, std::string> tags{};
  bool describing_tags = false;  // flow, run, step, task and user become tags, too
  std::string log_driver{};      // empty: that of Batch, awslogs
  std::map<std::string, std::string> log_options{};
  bool privileged = false;
  std::int64_t time_limit = 0;  // seconds that the job may take
};

/// What a step with the decorator `batch` asks for: decorator, `resources`, `timeout` and settings, merged by
/// Metaflow's rules; nothing if the step has no such decorator. Throws Error{platform}, naming the step, for what
/// cannot be asked for.
std::optional<BatchRequest> batch_request(const std::string& step, const std::vector<graph::Decorator>& decorators,
                                          const base::Settings& settings);

/// What the machines can do of it: on EC2, vCPUs become whole. Throws Error{platform}, naming the step, for what they
/// cannot.
BatchRequest fit_to(Machines machines, const std::string& step, BatchRequest request);

}  // namespace metaflow::awsbatch
