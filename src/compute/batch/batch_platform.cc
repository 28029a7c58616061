#include "compute/batch/batch_platform.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include <metaflow/error.h>

#include "base/elf.h"
#include "compute/batch/batch_jobs.h"
#include "compute/batch/batch_run_jobs.h"
#include "compute/batch/decorator.h"
#include "compute/batch/run_jobs.h"
#include "compute/remote/container_platform.h"
#include "compute/remote/remote_attempts.h"
#include "net/plain_http.h"

namespace metaflow::awsbatch {

namespace {

using compute::number_of;
using compute::RunSite;

constexpr const char* kName = "batch";
constexpr const char* kPlaces = "queues";
constexpr const char* kUnit = "job";
constexpr const char* kRuntime = "aws-batch";  // Metaflow's word
constexpr int kUncountedRetries = 3;           // of tasks that lost their Spot instance

class BatchPlan : public compute::PlatformPlan {
 public:
  BatchPlan(const RunSite& site, const std::vector<compute::PlannedStep>& steps)
      : site_(site), flow_in_image_(site.settings.get("BATCH_FLOW_IN_IMAGE", "")) {
    for (const compute::PlannedStep& step : steps)
      asked_.emplace(step.name, *batch_request(step.name, *step.decorators, site.settings, site.image));
  }

  compute::Needs needs() const override { return compute::needs_of_containers(flow_in_image_); }

  /// Looks up the queues, and what their compute environments support.
  void prepare() override {
    session_.emplace(site_.clock, net::AwsConfig(net::variables_of(site_.settings)));
    base::EventLoop loop(site_.clock);
    BatchApi api(loop, site_.clock, *session_, waiting_options());
    std::map<std::string, Queue> queues;  // by the requested name
    for (const auto& [step, request] : asked_) {
      if (!queues.contains(request.queue)) queues.emplace(request.queue, wait_for_queue(api, loop, request.queue));
      const Queue& queue = queues.at(request.queue);
      requests_.emplace(step, PlacedRequest{fit_to(queue.machines, step, request), queue});
    }
  }

  std::unique_ptr<compute::Backend> make_backend(const compute::BackendSite& site) override {
    std::set<std::string> queues;
    for (const auto& [step, placed] : requests_) queues.insert(placed.queue.arn);
    compute::note_places(site.store, site.run, kName, kPlaces, queues);
    return std::make_unique<compute::RemoteAttempts>(
        site.loop, site.clock, site.events, site.open_store,
        compute::remote_options(site_.settings, "BATCH", {.unit = kUnit, .uncounted_retries = kUncountedRetries}),
        [&](compute::JobEvents& events) {
          return std::make_unique<BatchJobs>(site.loop, site.clock, events, site.store, *session_, options(site));
        });
  }

 private:
  BatchOptions options(const compute::BackendSite& site) const {
    BatchOptions options;
    options.requests = requests_;
    options.jobs.run = site.run;
    options.jobs.user = site_.user;
    options.jobs.environment = container_variables(site_, site.store, kRuntime);
    options.jobs.flow_in_image = flow_in_image_;
    options.jobs.max_log_size = site.max_log_size;
    if (site.package != nullptr && flow_in_image_.empty()) {
      options.jobs.package = *site.package;
      options.jobs.machine = base::uname_machine(site.package->machine);
    }
    return options;
  }

  const RunSite& site_;
  std::string flow_in_image_;
  std::map<std::string, BatchRequest> asked_;      // by step
  std::map<std::string, PlacedRequest> requests_;  // by step
  std::optional<net::AwsSession> session_;
};

class BatchPlatform : public compute::Platform {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return kTitle; }
  std::string unit() const override { return kUnit; }
  const graph::DecoratorKind& decorator() const override { return decorator_kind(); }
  std::unique_ptr<compute::PlatformPlan> plan(const RunSite& site,
                                              const std::vector<compute::PlannedStep>& steps) const override {
    return std::make_unique<BatchPlan>(site, steps);
  }
  std::string job_places() const override { return kPlaces; }
  std::unique_ptr<compute::RunJobs> run_jobs(const RunSite& site, store::FlowStore& store,
                                             const std::set<std::string>& queues) const override {
    return std::make_unique<BatchRunJobs>(site, store, queues);
  }

  /// Reads a variable, or the end of the job's id if that is not set.
  std::optional<std::uint64_t> place_in_array() const override {
    const char* place = std::getenv("AWS_BATCH_JOB_ARRAY_INDEX");
    const char* job = std::getenv("AWS_BATCH_JOB_ID");
    if (place == nullptr && job != nullptr)
      place = std::strrchr(job, ':') == nullptr ? nullptr : std::strrchr(job, ':') + 1;
    if (place == nullptr) return std::nullopt;
    std::uint64_t number = 0;
    const char* const end = place + std::strlen(place);
    const auto parsed = std::from_chars(place, end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
    return number;
  }
};

}  // namespace

const compute::Platform& batch_platform() {
  static const BatchPlatform kPlatform;
  return kPlatform;
}

}  // namespace metaflow::awsbatch
