// What every container of a run is told by its environment.
#pragma once

#include "compute/platform.h"
#include "compute/remote/job_identity.h"

namespace metaflow::compute {

/// Who runs it, where the store is and how it is reached; what is secret is not among it. `runtime`: Metaflow's word
/// for the platform: "kubernetes".
Variables container_variables(const RunSite& site, const store::FlowStore& store, const std::string& runtime);

}  // namespace metaflow::compute
