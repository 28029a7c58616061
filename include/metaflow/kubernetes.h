// The decorator of steps that are executed on a Kubernetes cluster.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/detail/decorator.h>

namespace metaflow {

/// Executes on a Kubernetes cluster, as a job with one pod per attempt. What is not given here comes from
/// METAFLOW_KUBERNETES_* and then from Kubernetes; `resources` are merged in: the larger of cpu, memory and disk
/// counts. The members are the attributes of Metaflow's decorator, however many it has.
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

detail::Decorator make_decorator(const kubernetes& decorator);

}  // namespace metaflow
