#include <metaflow/error.h>

#include "base/format.h"
#include "compute/batch/batch_platform.h"
#include "compute/kubernetes/kubernetes_platform.h"
#include "compute/local/local_platform.h"
#include "compute/platform.h"
#include "compute/remote/run_jobs.h"

namespace metaflow::compute {

const Platforms& platforms() {
  static const Platforms kPlatforms({
      &local_platform(),
      &kube::kubernetes_platform(),
      &awsbatch::batch_platform(),
  });
  return kPlatforms;
}

namespace {

graph::DecoratorTable decorators_with(const std::vector<const Platform*>& platforms) {
  std::vector<const graph::DecoratorKind*> kinds = graph::core_decorators();
  for (const Platform* platform : platforms) kinds.push_back(&platform->decorator());
  return graph::DecoratorTable(std::move(kinds));
}

}  // namespace

std::unique_ptr<RunJobs> Platform::run_jobs(const RunSite& /*site*/, store::FlowStore& /*store*/,
                                            const std::set<std::string>& /*places*/) const {
  return nullptr;
}

Platforms::Platforms(std::vector<const Platform*> all) : all_(std::move(all)), decorators_(decorators_with(all_)) {}

const Platform& Platforms::of_step(const std::string& step, const std::vector<graph::Decorator>& decorators) const {
  if (graph::has_decorator(decorators, fallback().name())) return fallback();
  const Platform* found = nullptr;
  // Backwards: Metaflow's message names the platforms in this order.
  for (auto platform = all_.rbegin(); platform != all_.rend(); ++platform) {
    if (!graph::has_decorator(decorators, (*platform)->name())) continue;
    if (found != nullptr)
      throw Error(ErrorCode::invalid_flow,
                  fmt::format("Step *{}* is marked for execution both on {} and {}.", step, found->title(),
                              (*platform)->title()),
                  "Please use one or the other.");
    found = *platform;
  }
  return found == nullptr ? fallback() : *found;
}

}  // namespace metaflow::compute
