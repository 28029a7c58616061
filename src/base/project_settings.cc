#include "base/project_settings.h"

#include <algorithm>
#include <array>

namespace metaflow::base {

bool is_allowed_in_project(std::string_view variable) {
  constexpr std::string_view kPrefix = "METAFLOW_";
  if (!variable.starts_with(kPrefix)) return false;
  variable.remove_prefix(kPrefix.size());
  constexpr auto kNames = std::to_array<std::string_view>({"BRANCH",
                                                           "DATASTORE",
                                                           "DATASTORE_SYSROOT_LOCAL",
                                                           "DEFAULT_DATASTORE",
                                                           "DEFAULT_METADATA",
                                                           "DUMP_MAX_VALUE_SIZE",
                                                           "KUBERNETES_CPU",
                                                           "KUBERNETES_DISK",
                                                           "KUBERNETES_MEMORY",
                                                           "KUBERNETES_PATIENCE",
                                                           "KUBERNETES_QOS",
                                                           "KUBERNETES_SHARED_MEMORY",
                                                           "KUBERNETES_UNCOUNTED_RETRIES",
                                                           "BATCH_PATIENCE",
                                                           "BATCH_UNCOUNTED_RETRIES",
                                                           "METADATA",
                                                           "PRODUCTION",
                                                           "QUIET",
                                                           "RUNTIME_NAME",
                                                           "SERVICE_RETRY_COUNT",
                                                           "USER"});
  if (std::find(kNames.begin(), kNames.end(), variable) != kNames.end()) return true;
  // The options of `run` and `resume`, including the parameters of the flow.
  for (const std::string_view command : {"RUN_", "RESUME_"}) {
    if (!variable.starts_with(command)) continue;
    const std::string_view option = variable.substr(command.size());
    return option != "DECOSPECS" && option != "RUN_ID_FILE" && option != "RUNNER_ATTRIBUTE_FILE";
  }
  return false;
}

}  // namespace metaflow::base
