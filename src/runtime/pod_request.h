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

/// Nothing if the step is not one for Kubernetes. Throws Error{platform}, naming the step, for what cannot be asked
/// for.
std::optional<kube::PodRequest> pod_request(const std::string& step, const std::vector<graph::Decorator>& decorators,
                                            const base::Settings& settings);

}  // namespace metaflow::runtime
