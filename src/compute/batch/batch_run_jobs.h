// The jobs that runs have on AWS Batch, in one queue or several.
#pragma once

#include <set>
#include <string>

#include "compute/batch/client/batch_api.h"
#include "compute/platform.h"
#include "compute/remote/run_jobs.h"
#include "net/aws_session.h"

namespace metaflow::awsbatch {

/// Options of a client whose user waits for the answers.
BatchApiOptions waiting_options();

class BatchRunJobs : public compute::RunJobs {
 public:
  /// `queues`: as recorded for a run; empty: the one of the settings. `site` and `store` outlive this.
  BatchRunJobs(const compute::RunSite& site, store::FlowStore& store, std::set<std::string> queues);

  compute::RunJobsWords words() const override { return {"AWS Batch jobs", "Created", "on AWS Batch", ""}; }
  std::vector<compute::RunJob> unfinished(const compute::ChosenRuns& which) override;
  /// A job that was terminated while it started may still begin.
  bool end(std::span<const compute::RunJob> jobs, const std::string& reason) override;

 private:
  const compute::RunSite& site_;
  store::FlowStore& store_;
  base::EventLoop loop_;
  net::AwsSession session_;
  BatchApi api_;
  std::set<std::string> queues_;
};

}  // namespace metaflow::awsbatch
