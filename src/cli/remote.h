// The steps of a run that are executed on a cluster: what they need is checked before anything starts.
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
#include "compute/kubernetes/client/kubeconfig.h"
#include "compute/kubernetes/pod_request.h"
#include "compute/package/package.h"
#include "graph/graph.h"

namespace metaflow::cli {

/// Notes in the store in which namespaces a run has jobs.
void note_namespaces(Context& context, const std::string& run, const std::vector<std::string>& namespaces);
/// Before a run is resumed whose scheduler is gone: its jobs that have not begun are deleted; for those that have, it
/// waits, and says so. Nothing of a run that had no jobs is asked for. Throws Error{kubernetes}.
void settle_jobs(Context& context, const std::string& run);

class Remote {
 public:
  /// Throws Error{kubernetes, invalid_command} for what cannot work.
  Remote(Context& context, const graph::Graph& graph);

  bool any() const { return !requests_.empty(); }
  std::vector<std::string> steps() const;

  struct Backend {
    std::unique_ptr<compute::Backend> backend;
    std::string code_package;  // the value of the tasks' field `code-package`
  };
  /// Stores the package.
  Backend make(base::EventLoop& loop, compute::BackendEvents& events, const std::string& run,
               std::uint64_t max_log_size);

 private:
  std::vector<std::string> namespaces() const;
  std::vector<std::pair<std::string, std::string>> environment() const;

  Context& context_;
  const graph::Graph& graph_;
  std::map<std::string, kube::PodRequest> requests_;  // by step
  std::optional<kube::Access> access_;
  std::optional<compute::PackagePlan> plan_;
  std::string flow_in_image_;
};

}  // namespace metaflow::cli
