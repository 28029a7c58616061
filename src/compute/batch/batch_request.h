// The complete request of a task to AWS Batch: no defaults and no settings are left to look up. Only the machines of a
// queue are not known without asking Batch.
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

/// What a job queue runs its jobs on.
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

/// What a step requests for its job. The members are the attributes of the decorator: all that Batch offers.
struct BatchRequest {
  double cpu = 1;        // vCPUs
  double memory = 4096;  // MiB
  int gpu = 0;
  std::string image{};
  std::string queue{};  // empty: the first that accepts jobs
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

/// Returns the request of a step with the decorator `batch`: decorator, `resources`, `timeout` and settings, merged by
/// Metaflow's rules; nothing if the step has no such decorator. Throws Error{platform}, naming the step, for invalid
/// requests. `image`: RunSite::image.
std::optional<BatchRequest> batch_request(const std::string& step, const std::vector<graph::Decorator>& decorators,
                                          const base::Settings& settings, const std::string& image = {});

/// Adapts a request to its machines: on EC2, vCPUs become whole. Throws Error{platform}, naming the step, for what they
/// do not support.
BatchRequest fit_to(Machines machines, const std::string& step, BatchRequest request);

}  // namespace metaflow::awsbatch
