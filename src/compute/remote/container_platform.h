// What platforms have in common whose jobs are containers.
#pragma once

#include "compute/platform.h"
#include "compute/remote/job_identity.h"
#include "compute/remote/remote_attempts.h"

namespace metaflow::compute {

/// Who runs it, where the store is and how it is reached; what is secret is not among it. `runtime`: Metaflow's word
/// for the platform: "kubernetes".
Variables container_variables(const RunSite& site, const store::FlowStore& store, const std::string& runtime);

/// A store that containers reach, and the flow as a package, unless their image has it at the path `flow_in_image`.
Needs needs_of_containers(const std::string& flow_in_image);

/// What METAFLOW_<prefix>_UNCOUNTED_RETRIES and METAFLOW_<prefix>_PATIENCE (seconds) say; else as in `defaults`. Throws
/// Error{invalid_command}.
RemoteOptions remote_options(const base::Settings& settings, const std::string& prefix, RemoteOptions defaults);

}  // namespace metaflow::compute
