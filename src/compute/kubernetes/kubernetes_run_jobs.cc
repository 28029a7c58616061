#include "compute/kubernetes/kubernetes_run_jobs.h"

#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "compute/kubernetes/client/kubeconfig.h"
#include "compute/kubernetes/run_jobs.h"
#include "net/plain_http.h"

namespace metaflow::kube {

KubernetesRunJobs::KubernetesRunJobs(const compute::RunSite& site, std::set<std::string> namespaces)
    : loop_(site.clock),
      access_(find_access(net::variables_of(site.settings), site.settings.get("KUBERNETES_CONTEXT", ""))) {
  if (namespaces.empty()) {
    std::string name = site.settings.get("KUBERNETES_NAMESPACE", access_.name_space);
    namespaces.insert(name.empty() ? "default" : std::move(name));
  }
  for (const std::string& name : namespaces) {
    if (!is_namespace(name))
      throw Error(ErrorCode::data_store, fmt::format("'{}' is not a namespace", base::visible(name)));
    ApiOptions options;
    options.name_space = name;
    apis_.emplace(name, std::make_unique<KubernetesApi>(loop_, site.clock, access_, std::move(options)));
  }
}

std::vector<compute::RunJob> KubernetesRunJobs::unfinished(const compute::ChosenRuns& which) {
  std::vector<compute::RunJob> all;
  for (const auto& [name, api] : apis_) {
    for (compute::RunJob& job : unfinished_jobs(*api, loop_, which)) {
      job.place = name;
      all.push_back(std::move(job));
    }
  }
  return all;
}

bool KubernetesRunJobs::end(std::span<const compute::RunJob> jobs, const std::string& /*reason*/) {
  std::map<std::string, std::vector<compute::RunJob>> by_place;
  for (const compute::RunJob& job : jobs) by_place[job.place].push_back(job);
  for (const auto& [name, here] : by_place) remove_jobs(*apis_.at(name), loop_, here);
  return true;
}

void KubernetesRunJobs::end_run(const std::string& run_key) {
  for (const auto& [name, api] : apis_) remove_secret(*api, loop_, run_key);
}

}  // namespace metaflow::kube
