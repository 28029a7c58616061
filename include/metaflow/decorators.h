// Decorators: what a step asks of the system that executes it. Plain structs, given to mf::step or, by name, to --with.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/detail/decorator.h>

namespace metaflow {

/// What a task needs: a hint, which takes effect through a decorator that names a platform (`--with
/// resources:cpu=4,memory=8000`).
struct resources {
  double cpu = 1;                      // cores
  std::optional<int> gpu{};            // devices
  std::optional<double> disk{};        // MB
  double memory = 4096;                // MB
  std::optional<int> shared_memory{};  // MiB
};

/// Environment variables of a task, set before its process starts.
struct environment {
  std::map<std::string, std::string> vars{};
};

/// Tries a task again that failed, for whatever reason: an exception, a signal, a timeout.
struct retry {
  int times = 3;                       // besides the first try; at most 4
  double minutes_between_retries = 2;  // no worker waits for it
};

/// Stops a try that takes longer than the sum of these. Counts as a failure: retry and catch_ apply.
struct timeout {
  double seconds = 0;
  double minutes = 0;
  double hours = 0;
};

/// Lets the run go on when the last try of a task has failed. The task keeps what the step had set before it threw; if
/// its process died, what it began with.
struct catch_ {
  std::string var{};            // an artifact that holds a CaughtException, or nothing if the step succeeded: a member
                                // std::optional<mf::CaughtException>, or, for readers in Python only, any other name
  bool print_exception = true;  // in the log of the task
};

/// Executes on this machine, and honours `resources` here: a task starts when its cores, memory and GPUs are free.
struct local {
  bool enforce = false;  // the memory of `resources` is a hard limit
};

/// Executes on a Kubernetes cluster, as a job with one pod per attempt. What is not given here comes from
/// METAFLOW_KUBERNETES_* and then from Kubernetes; `resources` are merged in: the larger of cpu, memory and disk
/// counts.
struct kubernetes {
  std::optional<double> cpu{};                                    // cores; 1
  std::optional<double> memory{};                                 // MB; 4096
  std::optional<double> disk{};                                   // MB; 10240
  std::optional<int> gpu{};                                       // devices
  std::string gpu_vendor{};                                       // "nvidia" (that if empty) or "amd"
  std::string image{};                                            // of the container: any Linux of this architecture
  std::string image_pull_policy{};                                // "Always", "IfNotPresent", "Never"
  std::vector<std::string> image_pull_secrets{};                  // names of secrets
  std::string namespace_{};                                       // `namespace` in --with
  std::string service_account{};                                  // that the pod runs as
  std::vector<std::string> secrets{};                             // whose keys become environment variables
  std::map<std::string, std::string> node_selector{};             // labels that the node must have
  std::vector<std::map<std::string, std::string>> tolerations{};  // key, operator, value, effect, toleration_seconds
  std::map<std::string, std::string> labels{};                    // of job and pod
  std::map<std::string, std::string> annotations{};               // of job and pod
  bool use_tmpfs = false;                                         // a directory in memory
  bool tmpfs_tempdir = true;                                      // METAFLOW_TEMPDIR says where it is
  std::optional<int> tmpfs_size{};                                // MiB; half of the memory. Given, it means use_tmpfs
  std::string tmpfs_path{"/metaflow_temp"};
  std::map<std::string, std::string> persistent_volume_claims{};  // claim: where to mount it
  std::optional<int> shared_memory{};                             // MiB of /dev/shm
  std::optional<int> port{};                                      // of the container
  std::string compute_pool{};                                     // a node label, outerbounds.co/compute-pool
  std::string qos{};  // "burstable" (that if empty): may use more; "guaranteed": has it to itself
  std::map<std::string, std::string> extended_resources{};  // such as "example.com/dongle": "1"
  std::map<std::string, std::string> security_context{};    // privileged, allow_privilege_escalation, run_as_user,
                                                            // run_as_group, run_as_non_root
};

/// Executes on AWS Batch, as a job per attempt. What is not given here comes from METAFLOW_BATCH_* and then from the
/// job queue; `resources` are merged in: the larger of cpu, memory, gpu and shared_memory counts. What Fargate does not
/// have is marked with EC2.
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

detail::Decorator make_decorator(const resources& decorator);
detail::Decorator make_decorator(const environment& decorator);
detail::Decorator make_decorator(const retry& decorator);
detail::Decorator make_decorator(const timeout& decorator);
detail::Decorator make_decorator(const catch_& decorator);
detail::Decorator make_decorator(const local& decorator);
detail::Decorator make_decorator(const kubernetes& decorator);
detail::Decorator make_decorator(const batch& decorator);

}  // namespace metaflow
