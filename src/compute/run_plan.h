// Decides where each step of a run is executed, and checks that with each platform before anything starts. Then creates
// the backends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compute/package/package.h"
#include "compute/platform.h"
#include "compute/remote/delivery.h"
#include "compute/router.h"
#include "graph/graph.h"

namespace metaflow::compute {

/// Not thread-safe.
class RunPlan {
 public:
  /// Waits for the answers of platforms. Throws Error{platform, invalid_flow, invalid_command} for what cannot work.
  /// The references outlive this.
  RunPlan(const Platforms& platforms, const RunSite& site, const graph::Graph& graph);

  /// Returns the steps that are executed elsewhere.
  const std::vector<std::string>& remote_steps() const { return remote_steps_; }
  /// Returns what the user should know about the package; may be empty.
  std::string note() const { return code_ ? note_on_size(*code_) : std::string(); }

  /// Stores the package, if one is needed, and creates the backends. `site`: without its package. Called once.
  std::unique_ptr<Router> make_backends(BackendSite site);
  /// Stores the flow's code, or the graph as text, and returns the value of the field `code-package` of tasks
  /// elsewhere, by which clients show the code.
  std::string store_code(store::FlowStore& store) const;

 private:
  struct Part {
    std::unique_ptr<PlatformPlan> plan;
    std::vector<std::string> steps;
  };

  void check_store(const Platform& platform, const std::string& step) const;

  const RunSite& site_;
  const graph::Graph& graph_;
  std::vector<Part> parts_;  // the fallback's first
  std::vector<std::string> remote_steps_;
  std::optional<FlowCode> code_;  // of a flow that is not in this program
  std::optional<PackagePlan> package_plan_;
  StoredPackage package_;
};

/// What clients show as the code of a flow that is in its program: the graph as text. `program`: the name of its file.
FlowCode code_of_graph(const graph::Graph& graph, const std::string& program);

}  // namespace metaflow::compute
