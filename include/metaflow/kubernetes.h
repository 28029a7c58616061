// The decorator of steps that run on a Kubernetes cluster.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/detail/decorator.h>

namespace metaflow {

/// Runs the step on a Kubernetes cluster, as a job with one pod per attempt. Attributes that are not given come from
/// METAFLOW_KUBERNETES_*, then from Kubernetes. `resources` are merged in: the larger value of cpu, memory and disk
/// counts. The members are exactly the attributes of Metaflow's decorator.
struct kubernetes {
  std::optional<double> cpu{};                                    ///< cores; 1
  std::optional<double> memory{};                                 ///< MB; 4096
  std::optional<double> disk{};                                   ///< MB; 10240
  std::optional<int> gpu{};                                       ///< devices
  std::string gpu_vendor{};                                       ///< "nvidia" (the default) or "amd"
  std::string image{};                                            ///< container image: any Linux of this architecture
  std::string image_pull_policy{};                                ///< "Always", "IfNotPresent", "Never"
  std::vector<std::string> image_pull_secrets{};                  ///< names of secrets
  std::string namespace_{};                                       ///< `namespace` in --with
  std::string service_account{};                                  ///< service account of the pod
  std::vector<std::string> secrets{};                             ///< their keys become environment variables
  std::map<std::string, std::string> node_selector{};             ///< labels that the node must have
  std::vector<std::map<std::string, std::string>> tolerations{};  ///< key, operator, value, effect, toleration_seconds
  std::map<std::string, std::string> labels{};                    ///< of job and pod
  std::map<std::string, std::string> annotations{};               ///< of job and pod
  bool use_tmpfs = false;                                         ///< a directory in memory
  bool tmpfs_tempdir = true;                                      ///< METAFLOW_TEMPDIR is its path
  std::optional<int> tmpfs_size{};                                ///< MiB; half of the memory. Implies use_tmpfs
  std::string tmpfs_path{"/metaflow_temp"};                       ///< path of the directory in memory
  std::map<std::string, std::string> persistent_volume_claims{};  ///< claim: mount path
  std::optional<int> shared_memory{};                             ///< MiB of /dev/shm
  std::optional<int> port{};                                      ///< of the container
  std::string compute_pool{};                                     ///< a node label, outerbounds.co/compute-pool
  std::string qos{};  ///< "burstable" (the default): may use more than it requests; "guaranteed": limits equal requests
  std::map<std::string, std::string> extended_resources{};  ///< such as "example.com/dongle": "1"
  std::map<std::string, std::string> security_context{};    ///< privileged, allow_privilege_escalation, run_as_user,
                                                            ///< run_as_group, run_as_non_root
};

detail::Decorator make_decorator(const kubernetes& decorator);

}  // namespace metaflow
