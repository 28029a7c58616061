// The attempt that a job is for, and names derived from it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace metaflow::compute {

using Variables = std::vector<std::pair<std::string, std::string>>;

/// The attempt that a job is for.
struct JobIdentity {
  std::string flow;
  std::string run;
  std::string step;
  std::string task;
  int attempt = 0;
  std::string user;
};

/// Returns 16 hexadecimal digits, the same for the same attempt, so that a submission whose answer was lost cannot
/// create two jobs. `store`: where the run is stored, since two stores may have runs of the same id. `tries`: earlier
/// jobs of the attempt, whose task did not begin.
std::string attempt_key(const JobIdentity& identity, std::string_view store, int tries);
/// Returns 16 hexadecimal digits that all jobs of a run share.
std::string run_key(std::string_view flow, std::string_view run, std::string_view store);

/// Returns variables that set the number of cores for the task, and for libraries with thread pools unless
/// `environment` sets them.
Variables processor_variables(double cpu, const Variables& environment);

}  // namespace metaflow::compute
