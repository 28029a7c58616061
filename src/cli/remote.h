// The steps of a run that are executed on a cluster, or on AWS Batch: what they need is checked before anything starts.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "cli/context.h"
#include "compute/backend.h"
#include "compute/batch/batch_jobs.h"
#include "compute/kubernetes/client/kubeconfig.h"
#include "compute/kubernetes/pod_request.h"
#include "compute/package/package.h"
#include "compute/remote/attempt_results.h"
#include "graph/graph.h"
#include "net/aws_session.h"

namespace metaflow::cli {

/// Notes in the store in which namespaces a run has jobs.
void note_namespaces(Context& context, const std::string& run, const std::vector<std::string>& namespaces);
/// Before a run is resumed whose scheduler is gone: its jobs that have not begun are deleted; for those that have, it
/// waits, and says so. Nothing of a run that had no jobs is asked for. Throws Error{platform}.
void settle_jobs(Context& context, const std::string& run);

/// The same of AWS Batch: in which queues a run has jobs.
void note_queues(Context& context, const std::string& run, const std::map<std::string, awsbatch::PlacedRequest>& jobs);
void settle_batch_jobs(Context& context, const std::string& run);

/// Where the jobs of these steps go; what their queues cannot do is refused. Asks AWS Batch, and waits for the answer.
/// Throws Error{platform}.
std::map<std::string, awsbatch::PlacedRequest> place_jobs(
    Context& context, net::AwsSession& session, const std::map<std::string, awsbatch::BatchRequest>& requests);

class Remote {
 public:
  /// Throws Error{platform, invalid_flow, invalid_command} for what cannot work.
  Remote(Context& context, const graph::Graph& graph);

  bool any() const { return !requests_.empty() || !jobs_.empty(); }
  std::vector<std::string> steps() const;

  struct Backends {
    std::vector<std::pair<std::unique_ptr<compute::Backend>, std::vector<std::string>>> backends;  // with their steps
    std::string code_package;  // the value of the tasks' field `code-package`
  };
  /// Stores the package.
  Backends make(base::EventLoop& loop, compute::BackendEvents& events, const std::string& run,
                std::uint64_t max_log_size);

 private:
  std::vector<std::string> namespaces() const;
  std::unique_ptr<compute::Backend> make_kubernetes(base::EventLoop& loop, compute::BackendEvents& events,
                                                    const std::string& run, std::uint64_t max_log_size);
  std::unique_ptr<compute::Backend> make_batch(base::EventLoop& loop, compute::BackendEvents& events,
                                               const std::string& run, std::uint64_t max_log_size);
  std::string store_code();
  compute::ResultReader::Open open_store();
  /// Of every container.
  compute::Variables environment(const char* platform) const;
  bool needs_package() const;

  Context& context_;
  const graph::Graph& graph_;
  std::map<std::string, kube::PodRequest> requests_;     // by step
  std::map<std::string, awsbatch::PlacedRequest> jobs_;  // by step
  std::optional<kube::Access> access_;
  std::unique_ptr<net::AwsSession> session_;  // with AWS Batch
  std::optional<compute::PackagePlan> plan_;
  compute::StoredPackage package_;
  std::string flow_in_image_;      // of pods
  std::string flow_in_job_image_;  // of jobs on AWS Batch
};

}  // namespace metaflow::cli
