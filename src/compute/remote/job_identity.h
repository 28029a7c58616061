// Which attempt a job of a platform is for, and names that follow from that.
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

/// The same for the same attempt, so that a submission whose answer was lost cannot become two jobs: 16 hexadecimal
/// digits. `store`: where the run is stored, since two stores may have runs of the same id. `tries`: jobs that the
/// attempt had before, whose task did not begin.
std::string attempt_key(const JobIdentity& identity, std::string_view store, int tries);
/// What is common to the jobs of a run: 16 hexadecimal digits.
std::string run_key(std::string_view flow, std::string_view run, std::string_view store);

/// What tells a task, and libraries with pools of threads, how many cores it has; of the latter what is not among the
/// variables yet.
Variables processor_variables(double cpu, const Variables& environment);

}  // namespace metaflow::compute
