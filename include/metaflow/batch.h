// The decorator of steps that are executed on AWS Batch.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/detail/decorator.h>

namespace metaflow {

/// Executes on AWS Batch, as a job per attempt. What is not given here comes from METAFLOW_BATCH_* and then from the
/// job queue; `resources` are merged in: the larger of cpu, memory, gpu and shared_memory counts. What Fargate does not
/// have is marked with EC2. The members are the attributes of Metaflow's decorator, however many it has.
struct batch {
  std::optional<double> cpu{};              // vCPUs; 1. On EC2 whole ones: a fraction is rounded up
  std::optional<double> memory{};           // MiB; 4096
  std::optional<int> gpu{};                 // devices; EC2
  std::string image{};                      // of the container: any Linux of this architecture
  std::string queue{};                      // name or ARN; the first that takes jobs
  std::string iam_role{};                   // ARN, that the task has
  std::string execution_role{};             // ARN, that pulls the image; Fargate needs one
  std::optional<int> shared_memory{};       // MiB of /dev/shm; EC2
  std::optional<int> max_swap{};            // MiB; 0: none; EC2
  std::optional<int> swappiness{};          // 0 to 100, with max_swap; EC2
  std::optional<int> inferentia{};          // Neuron devices; EC2
  std::optional<int> trainium{};            // another word for inferentia
  std::optional<int> efa{};                 // Elastic Fabric Adapters; EC2
  std::vector<std::string> host_volumes{};  // "/path", "/path:/where"; EC2
  std::vector<std::string> efs_volumes{};   // "fs-id", mounted at /mnt/fs-id; "fs-id:/where"
  bool use_tmpfs = false;                   // a directory in memory; EC2
  bool tmpfs_tempdir = true;                // METAFLOW_TEMPDIR says where it is
  std::optional<int> tmpfs_size{};          // MiB; half of the memory. Given, it means use_tmpfs
  std::string tmpfs_path{"/metaflow_temp"};
  std::optional<int> ephemeral_storage{};  // GiB of disk, 21 to 200; Fargate
  std::map<std::string, std::string> aws_batch_tags{};
  std::string log_driver{};                // "awslogs" (that if empty), "json-file", "splunk", ...
  std::vector<std::string> log_options{};  // "key:value"
  bool privileged = false;                 // EC2
};

detail::Decorator make_decorator(const batch& decorator);

}  // namespace metaflow
