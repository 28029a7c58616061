// The objects that are sent to Kubernetes. Fields: Kubernetes API reference, batch/v1 Job, core/v1 Secret.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "compute/kubernetes/pod_request.h"
#include "compute/remote/delivery.h"
#include "compute/remote/job_identity.h"

namespace metaflow::kube {

using base::Json;

using compute::JobIdentity;
using compute::run_key;
using compute::Variables;

/// Returns the name of an attempt's job, always the same, so that a submission whose answer was lost cannot create two
/// jobs. Valid as a name and as a label. `store`, `tries`: see compute::attempt_key.
std::string job_name(const JobIdentity& identity, std::string_view store, int tries = 0);

/// Returns the name of a run's secret.
std::string secret_name(const std::string& run_key);

inline constexpr const char* kRunLabel = "metaflow/run";
inline constexpr const char* kContainer = "task";   // the container that executes the attempt
inline constexpr const char* kFetcher = "package";  // the init container that fetches the package
inline constexpr const char* kPackagePath = "/mf";  // where it unpacks it

/// How a run's flow is delivered to its containers.
struct DeliveryOptions {
  compute::StoredPackage package{};
  std::string fetcher_image{};  // of the init container; empty: the task's container fetches the package itself
  std::string flow_in_image{};  // the flow's path in the image; then nothing is fetched
  std::string architecture{};   // "amd64"; empty: any
};

/// How the flow is delivered to one container.
struct Delivery {
  std::vector<std::string> command;  // of the container, with the step's arguments
  Variables environment{};           // of the container, besides those of every container
  /// An init container that fetches the package into kPackagePath. Without it, the image contains the flow, or
  /// `command` fetches it.
  std::optional<std::string> fetcher_image{};
  std::vector<std::string> fetcher_command{};
  Variables fetcher_environment{};
  std::uint64_t package_size = 0;  // bytes, unpacked
  std::string architecture{};      // "amd64"
  std::string secret{};            // of the run: its keys become variables of the container that fetches; empty: none
};

/// `secret`: of the run; empty: none. `arguments`: of the flow.
Delivery delivery_of(const DeliveryOptions& options, const std::string& secret,
                     const std::vector<std::string>& arguments);

/// Returns a batch/v1 Job with one pod that is executed once: the scheduler does retries. `kept_seconds`: after its
/// end, until the cluster deletes it.
Json job_manifest(const JobIdentity& identity, const std::string& name, const std::string& run_key,
                  const PodRequest& request, const Delivery& delivery, const Variables& environment,
                  std::int64_t kept_seconds);

/// Returns a core/v1 Secret with texts.
Json secret_manifest(const std::string& name, const std::string& run_key,
                     const std::map<std::string, std::string>& texts);

}  // namespace metaflow::kube
