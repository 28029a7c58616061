#include "compute/kubernetes/kubernetes_platform.h"

#include <map>
#include <set>
#include <utility>

#include "base/elf.h"
#include "compute/kubernetes/client/kubeconfig.h"
#include "compute/kubernetes/decorator.h"
#include "compute/kubernetes/kubernetes_jobs.h"
#include "compute/kubernetes/kubernetes_run_jobs.h"
#include "compute/kubernetes/run_jobs.h"
#include "compute/remote/container_platform.h"
#include "compute/remote/remote_attempts.h"
#include "net/plain_http.h"

namespace metaflow::kube {

namespace {

using compute::number_of;
using compute::RunSite;

constexpr const char* kName = "kubernetes";
constexpr const char* kPlaces = "namespaces";
constexpr const char* kUnit = "pod";
constexpr const char* kFetcherImage = "curlimages/curl:8.10.1";

class KubernetesPlan : public compute::PlatformPlan {
 public:
  KubernetesPlan(const RunSite& site, const std::vector<compute::PlannedStep>& steps)
      : site_(site), flow_in_image_(site.settings.get("KUBERNETES_FLOW_IN_IMAGE", "")) {
    for (const compute::PlannedStep& step : steps)
      requests_.emplace(step.name, *pod_request(step.name, *step.decorators, site.settings, site.image));
  }

  compute::Needs needs() const override { return compute::needs_of_containers(flow_in_image_); }

  void prepare() override {
    access_ = find_access(net::variables_of(site_.settings), site_.settings.get("KUBERNETES_CONTEXT", ""));
    for (auto& [step, request] : requests_) {
      if (request.name_space.empty()) request.name_space = access_.name_space.empty() ? "default" : access_.name_space;
      namespaces_.insert(request.name_space);
    }
    for (const std::string& name : namespaces_) {
      base::EventLoop loop(site_.clock);
      ApiOptions options{.name_space = name};
      options.transport.limits.retry.tries = 1;
      KubernetesApi api(loop, site_.clock, access_, std::move(options));
      check_access(api, loop);
    }
  }

  std::unique_ptr<compute::Backend> make_backend(const compute::BackendSite& site) override {
    compute::note_places(site.store, site.run, kName, kPlaces, namespaces_);
    return std::make_unique<compute::RemoteAttempts>(
        site.loop, site.clock, site.events, site.open_store,
        compute::remote_options(site_.settings, "KUBERNETES", {.unit = kUnit}), [&](compute::JobEvents& events) {
          return std::make_unique<KubernetesJobs>(site.loop, site.clock, events, site.store, access_, options(site));
        });
  }

 private:
  KubernetesOptions options(const compute::BackendSite& site) const {
    KubernetesOptions options;
    options.run = site.run;
    options.user = site_.user;
    options.requests = requests_;
    options.environment = container_variables(site_, site.store, kName);
    options.environment.emplace_back("METAFLOW_KUBERNETES_WORKLOAD", "1");
    options.max_log_size = site.max_log_size;
    options.job_seconds = number_of(site_.settings, "KUBERNETES_JOB_TTL_SECONDS_AFTER_FINISHED", options.job_seconds,
                                    "a number of seconds");
    options.delivery.flow_in_image = flow_in_image_;
    const std::string fetcher = site_.settings.get("KUBERNETES_FETCH_IMAGE", kFetcherImage);
    options.delivery.fetcher_image = fetcher == "none" ? "" : fetcher;
    if (site.package != nullptr && flow_in_image_.empty()) {
      options.delivery.package = *site.package;
      options.delivery.architecture = base::image_architecture(site.package->machine);
    }
    return options;
  }

  const RunSite& site_;
  std::string flow_in_image_;
  std::map<std::string, PodRequest> requests_;  // by step
  Access access_;
  std::set<std::string> namespaces_;
};

class KubernetesPlatform : public compute::Platform {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return kTitle; }
  std::string unit() const override { return kUnit; }
  const graph::DecoratorKind& decorator() const override { return decorator_kind(); }
  std::unique_ptr<compute::PlatformPlan> plan(const RunSite& site,
                                              const std::vector<compute::PlannedStep>& steps) const override {
    return std::make_unique<KubernetesPlan>(site, steps);
  }
  std::string job_places() const override { return kPlaces; }
  std::unique_ptr<compute::RunJobs> run_jobs(const RunSite& site, store::FlowStore& /*store*/,
                                             const std::set<std::string>& namespaces) const override {
    return std::make_unique<KubernetesRunJobs>(site, namespaces);
  }
};

}  // namespace

const compute::Platform& kubernetes_platform() {
  static const KubernetesPlatform kPlatform;
  return kPlatform;
}

}  // namespace metaflow::kube
