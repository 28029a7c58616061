// The run of a flow that was started last on this machine: the default of commands.
#pragma once

#include <optional>
#include <string>

namespace metaflow::store {

/// Nothing if there is none. Throws Error{data_store} if the file does not hold a run id.
std::optional<std::string> latest_run(const std::string& local_root, const std::string& flow);
void set_latest_run(const std::string& local_root, const std::string& flow, const std::string& run);

void remove_latest_run(const std::string& local_root, const std::string& flow);

}  // namespace metaflow::store
