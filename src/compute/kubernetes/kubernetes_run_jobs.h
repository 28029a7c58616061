// The jobs that runs have in a cluster, in one namespace or several.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "compute/kubernetes/client/api.h"
#include "compute/platform.h"
#include "compute/remote/run_jobs.h"

namespace metaflow::kube {

class KubernetesRunJobs : public compute::RunJobs {
 public:
  /// `namespaces`: as recorded for a run; empty: the one of the settings. Throws Error{data_store} for an invalid name.
  /// `site` outlives this.
  KubernetesRunJobs(const compute::RunSite& site, std::set<std::string> namespaces);

  compute::RunJobsWords words() const override { return {"Kubernetes pods", "Started", "in the cluster", "pod"}; }
  std::vector<compute::RunJob> unfinished(const compute::ChosenRuns& which) override;
  bool end(std::span<const compute::RunJob> jobs, const std::string& reason) override;
  /// Deletes the run's secret.
  void end_run(const std::string& run_key) override;

 private:
  base::EventLoop loop_;
  Access access_;
  std::map<std::string, std::unique_ptr<KubernetesApi>> apis_;  // by namespace
};

}  // namespace metaflow::kube
