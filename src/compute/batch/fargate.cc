// What the machines of a queue support: Fargate has fixed sizes and no devices.
#include <algorithm>
#include <cmath>

#include <metaflow/error.h>

#include "base/format.h"
#include "compute/batch/batch_request.h"
#include "compute/batch/client/job.h"

namespace metaflow::awsbatch {

namespace {

[[noreturn]] void refuse(std::string message, std::string hint = {}) {
  throw Error::of_platform(kTitle, std::move(message), std::move(hint));
}

/// The memory that Fargate offers for a number of vCPUs: `least` to `most` MiB in steps of `by`, or only the `sizes`.
struct FargateSize {
  double cpu;
  int least;
  int most;
  int by;
  std::vector<int> sizes{};
};

/// ResourceRequirement in the API reference of AWS Batch.
const std::vector<FargateSize>& fargate_sizes() {
  static const std::vector<FargateSize> kSizes{
      {.cpu = 0.25, .least = 512, .most = 2048, .by = 0, .sizes = {512, 1024, 2048}},
      {.cpu = 0.5, .least = 1024, .most = 4096, .by = 1024},
      {.cpu = 1, .least = 2048, .most = 8192, .by = 1024},
      {.cpu = 2, .least = 4096, .most = 16384, .by = 1024},
      {.cpu = 4, .least = 8192, .most = 30720, .by = 1024},
      {.cpu = 8, .least = 16384, .most = 61440, .by = 4096},
      {.cpu = 16, .least = 32768, .most = 122880, .by = 8192},
      {.cpu = 32, .least = 61440, .most = 249856, .by = 0, .sizes = {61440, 122880, 249856}}};
  return kSizes;
}

/// Returns the smallest memory of this size that is enough; nothing if none is.
std::optional<int> enough(const FargateSize& size, double memory) {
  if (memory > size.most) return std::nullopt;
  if (size.by == 0) {
    return *std::find_if(size.sizes.begin(), size.sizes.end(), [&](int each) { return each >= memory; });
  }
  const double above = std::max(0.0, memory - size.least);
  return size.least + size.by * static_cast<int>(std::ceil(above / size.by));
}

void check_fargate_size(const std::string& step, double cpu, double memory) {
  std::string pair;  // the smallest that is enough
  for (const FargateSize& size : fargate_sizes()) {
    if (size.cpu < cpu) continue;
    const auto fits = enough(size, memory);
    if (!fits) continue;
    if (size.cpu == cpu && *fits == memory) return;
    if (pair.empty()) pair = fmt::format("cpu={}, memory={}", size.cpu, *fits);
  }
  const std::string what = fmt::format("Fargate does not offer {} vCPU with {} MiB (step *{}*)", cpu, memory, step);
  if (pair.empty()) refuse(what, "The largest is cpu=32, memory=249856. Use a queue with EC2 instances.");
  refuse(what, fmt::format("The smallest size that is enough: {}. Valid sizes: "
                           "https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html",
                           pair));
}

void check_fargate(const std::string& step, const BatchRequest& request) {
  auto not_there = [&](bool asked, const char* attribute) {
    if (!asked) return;
    refuse(fmt::format("Fargate does not support {} (step *{}*)", attribute, step),
           "Use a queue with EC2 instances, or remove the attribute.");
  };
  not_there(request.gpu > 0, "gpu");
  not_there(request.neuron_devices > 0, "inferentia (or trainium)");
  not_there(request.efa > 0, "efa");
  not_there(request.shared_memory.has_value(), "shared_memory");
  not_there(request.max_swap.has_value(), "max_swap");
  not_there(request.swappiness.has_value(), "swappiness");
  not_there(!request.host_volumes.empty(), "host_volumes");
  not_there(request.tmpfs.size.has_value(), "tmpfs");
  not_there(request.privileged, "privileged");
  if (request.execution_role.empty()) {
    refuse(fmt::format("No AWS Fargate task execution IAM role found for step *{}*", step),
           "Set METAFLOW_ECS_FARGATE_EXECUTION_ROLE, or execution_role, to the ARN of a role with "
           "AmazonECSTaskExecutionRolePolicy.");
  }
  check_fargate_size(step, request.cpu, request.memory);
}

}  // namespace

std::string_view name_of(Machines machines) {
  switch (machines) {
    case Machines::ec2: return "EC2";
    case Machines::spot: return "EC2 Spot";
    case Machines::fargate: return "Fargate";
    case Machines::fargate_spot: return "Fargate Spot";
  }
  return "EC2";
}

BatchRequest fit_to(Machines machines, const std::string& step, BatchRequest request) {
  if (is_fargate(machines)) {
    check_fargate(step, request);
    return request;
  }
  if (request.ephemeral_storage)
    refuse(fmt::format("The ephemeral_storage of step *{}* is only available for Fargate compute environments", step),
           "The disks of EC2 instances are chosen in the launch template of the compute environment.");
  request.cpu = std::ceil(request.cpu);
  request.memory = std::floor(request.memory);
  return request;
}

}  // namespace metaflow::awsbatch
