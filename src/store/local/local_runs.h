// The runs of a flow whose metadata or journal is in a local directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace metaflow::store {

/// The names of the run directories of a flow, newest first. Reads no file of a run whose id is a time: the ids of this
/// library and of Metaflow in Python are the microsecond in which the run began. A directory need not be a run: see
/// is_local_run().
std::vector<std::string> local_runs(const std::string& local_root, const std::string& flow);

/// Whether the metadata or the journal of the run exists.
bool is_local_run(const std::string& local_root, const std::string& flow, const std::string& run);

/// The microsecond in which a run began, as its id tells; 0: the id is not a time.
std::int64_t time_of_run_id(const std::string& run);

}  // namespace metaflow::store
