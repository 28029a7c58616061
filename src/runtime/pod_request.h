// What steps with the decorator `kubernetes` ask for: decorator, `resources`, `timeout` and settings, merged by
// Metaflow's rules.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/settings.h"
#include "compute/kubernetes/pod_request.h"
#include "graph/decorators.h"

namespace metaflow::runtime {

/// Nothing if the step is not one for Kubernetes. Throws Error{kubernetes}, naming the step, for what cannot be asked
/// for.
std::optional<kube::PodRequest> pod_request(const std::string& step, const std::vector<graph::Decorator>& decorators,
                                            const base::Settings& settings);

/// An image with its registry: "base:1" is "REGISTRY/base:1" if there is a REGISTRY, "quay.io/base:1" stays as it is.
std::string image_with_registry(const std::string& image, const std::string& registry);

}  // namespace metaflow::runtime
