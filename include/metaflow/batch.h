// The decorator of steps that run on AWS Batch.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/detail/decorator.h>

namespace metaflow {

/// Runs the step on AWS Batch, as one job per attempt. Attributes that are not given come from METAFLOW_BATCH_*, then
/// from the job queue. `resources` are merged in: the larger value of cpu, memory, gpu and shared_memory counts. EC2
/// marks what Fargate does not support. The members are exactly the attributes of Metaflow's decorator.
struct batch {
  std::optional<double> cpu{};                          ///< vCPUs; 1. On EC2 fractions are rounded up
  std::optional<double> memory{};                       ///< MiB; 4096
  std::optional<int> gpu{};                             ///< devices; EC2
  std::string image{};                                  ///< container image: any Linux of this architecture
  std::string queue{};                                  ///< name or ARN; the first that accepts jobs
  std::string iam_role{};                               ///< ARN of the role of the task
  std::string execution_role{};                         ///< ARN of the role that pulls the image; Fargate requires one
  std::optional<int> shared_memory{};                   ///< MiB of /dev/shm; EC2
  std::optional<int> max_swap{};                        ///< MiB; 0: none; EC2
  std::optional<int> swappiness{};                      ///< 0 to 100, with max_swap; EC2
  std::optional<int> inferentia{};                      ///< Neuron devices; EC2
  std::optional<int> trainium{};                        ///< synonym of inferentia
  std::optional<int> efa{};                             ///< Elastic Fabric Adapters; EC2
  std::vector<std::string> host_volumes{};              ///< "/path", "/path:/where"; EC2
  std::vector<std::string> efs_volumes{};               ///< "fs-id", mounted at /mnt/fs-id; "fs-id:/where"
  bool use_tmpfs = false;                               ///< a directory in memory; EC2
  bool tmpfs_tempdir = true;                            ///< METAFLOW_TEMPDIR is its path
  std::optional<int> tmpfs_size{};                      ///< MiB; half of the memory. Implies use_tmpfs
  std::string tmpfs_path{"/metaflow_temp"};             ///< path of the directory in memory
  std::optional<int> ephemeral_storage{};               ///< GiB of disk, 21 to 200; Fargate
  std::map<std::string, std::string> aws_batch_tags{};  ///< tags of the job
  std::string log_driver{};                             ///< "awslogs" (the default), "json-file", "splunk", ...
  std::vector<std::string> log_options{};               ///< "key:value"
  bool privileged = false;                              ///< EC2
};

detail::Decorator make_decorator(const batch& decorator);

}  // namespace metaflow
