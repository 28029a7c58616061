// The jobs that runs have in spools.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "compute/remote/run_jobs.h"
#include "platforms/process/spool.h"

namespace metaflow::process_platform {

/// Not thread-safe.
class ProcessRunJobs : public compute::RunJobs {
 public:
  explicit ProcessRunJobs(const std::set<std::string>& directories) {
    for (const std::string& directory : directories) spools_.emplace_back(directory);
  }

  compute::RunJobsWords words() const override { return {"processes", "Started", "in the runner", ""}; }
  std::vector<compute::RunJob> unfinished(const compute::ChosenRuns& which) override;
  /// A pending job may still begin before it gets the request to end.
  bool end(std::span<const compute::RunJob> jobs, const std::string& reason) override;
  void end_run(const std::string& run_key) override;

 private:
  std::vector<Spool> spools_;
};

}  // namespace metaflow::process_platform
