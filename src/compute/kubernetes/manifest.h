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

/// The same for the same attempt, so that a submission whose answer was lost cannot become two jobs; fit for a name and
/// for a label. `store`, `tries`: see compute::attempt_key.
std::string job_name(const JobIdentity& identity, std::string_view store, int tries = 0);

/// Of the secret of a run.
std::string secret_name(const std::string& run_key);

inline constexpr const char* kRunLabel = "metaflow/run";
inline constexpr const char* kContainer = "task";   // the container that executes the attempt
inline constexpr const char* kFetcher = "package";  // the init container that fetches the package
inline constexpr const char* kPackagePath = "/mf";  // where it puts it

/// How a run's flow comes into its containers.
struct DeliveryOptions {
  compute::StoredPackage package{};
  std::string fetcher_image{};  // of the init container; empty: the task's container fetches the package itself
  std::string flow_in_image{};  // the flow's path in the image; then nothing is fetched
  std::string architecture{};   // "amd64"; empty: any
};

/// How the flow comes into one container.
struct Delivery {
  std::vector<std::string> command;  // of the container, with the step's arguments
  Variables environment{};           // of the container, besides what it is given anyway
  /// An init container that fetches the package into kPackagePath. Without it the image has the flow, or `command`
  /// fetches it.
  std::optional<std::string> fetcher_image{};
  std::vector<std::string> fetcher_command{};
  Variables fetcher_environment{};
  std::uint64_t package_size = 0;  // bytes, unpacked
  std::string architecture{};      // "amd64"
  std::string secret{};            // of the run: its keys become variables of whichever container fetches; empty: none
};

/// `secret`: of the run; empty: none. `arguments`: of the flow.
Delivery delivery_of(const DeliveryOptions& options, const std::string& secret,
                     const std::vector<std::string>& arguments);

/// batch/v1 Job with one pod that is tried once: retries are the scheduler's. `kept_seconds`: until the cluster deletes
/// the job after it has ended.
Json job_manifest(const JobIdentity& identity, const std::string& name, const std::string& run_key,
                  const PodRequest& request, const Delivery& delivery, const Variables& environment,
                  std::int64_t kept_seconds);

/// core/v1 Secret with texts.
Json secret_manifest(const std::string& name, const std::string& run_key,
                     const std::map<std::string, std::string>& texts);

}  // namespace metaflow::kube
