// Common to platforms whose jobs are containers.
#pragma once

#include "compute/platform.h"
#include "compute/remote/job_identity.h"
#include "compute/remote/remote_attempts.h"

namespace metaflow::compute {

/// Returns variables with the user, the location of the store and how to reach it; none of them is secret. `runtime`:
/// Metaflow's name of the platform: "kubernetes".
Variables container_variables(const RunSite& site, const store::FlowStore& store, const std::string& runtime);

/// Returns the needs of containers: a store that they can reach, and the flow as a package, unless the image has it at
/// the path `flow_in_image`.
Needs needs_of_containers(const std::string& flow_in_image);

/// Reads METAFLOW_<prefix>_UNCOUNTED_RETRIES and METAFLOW_<prefix>_PATIENCE (seconds), on top of `defaults`. Throws
/// Error{invalid_command}.
RemoteOptions remote_options(const base::Settings& settings, const std::string& prefix, RemoteOptions defaults);

}  // namespace metaflow::compute
