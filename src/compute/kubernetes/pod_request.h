// The complete request of a task to Kubernetes: no defaults and no settings are left to look up.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/settings.h"
#include "compute/remote/platform_settings.h"
#include "graph/decorators.h"

namespace metaflow::kube {

struct Toleration {
  std::string key{};
  std::string op{};  // "Exists", "Equal"
  std::string value{};
  std::string effect{};
  std::optional<std::int64_t> seconds{};
};

struct SecurityContext {
  std::optional<bool> privileged{};
  std::optional<bool> allow_privilege_escalation{};
  std::optional<std::int64_t> run_as_user{};
  std::optional<std::int64_t> run_as_group{};
  std::optional<bool> run_as_non_root{};
};

/// What a step requests for its pod. The members are the attributes of the decorator: all that Kubernetes offers.
struct PodRequest {
  double cpu = 1;
  double memory = 4096;  // MB
  double disk = 10240;   // MB
  std::optional<int> gpu{};
  std::string gpu_vendor{"nvidia"};
  std::string image{};
  std::string image_pull_policy{};
  std::vector<std::string> image_pull_secrets{};
  std::string name_space{};  // empty: that of the context
  std::string service_account{};
  std::vector<std::string> secrets{};  // whose keys become environment variables
  std::map<std::string, std::string> node_selector{};
  std::vector<Toleration> tolerations{};
  std::map<std::string, std::string> labels{};
  std::map<std::string, std::string> annotations{};
  compute::Tmpfs tmpfs{};
  std::map<std::string, std::string> persistent_volume_claims{};
  std::optional<int> shared_memory{};  // MiB
  std::optional<int> port{};
  bool guaranteed = false;
  std::map<std::string, std::string> extended_resources{};
  SecurityContext security_context{};
  std::int64_t time_limit = 0;  // seconds that the pod may take
};

/// Returns the request of a step with the decorator `kubernetes`: decorator, `resources`, `timeout` and settings,
/// merged by Metaflow's rules; nothing if the step has no such decorator. Throws Error{platform}, naming the step, for
/// invalid requests.
/// `image`: RunSite::image.
std::optional<PodRequest> pod_request(const std::string& step, const std::vector<graph::Decorator>& decorators,
                                      const base::Settings& settings, const std::string& image = {});

}  // namespace metaflow::kube
