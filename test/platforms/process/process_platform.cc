#include "platforms/process/process_platform.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include <metaflow/error.h>

#include "base/process.h"
#include "compute/remote/remote_attempts.h"
#include "graph/decorator_kind.h"
#include "platforms/process/place.h"
#include "platforms/process/process.h"
#include "platforms/process/process_jobs.h"
#include "platforms/process/process_run_jobs.h"

namespace metaflow {

detail::Decorator make_decorator(const process& decorator) { return graph::describe_decorator(decorator); }

template std::optional<process> graph::find_decorator<process>(const std::vector<Decorator>&);

namespace process_platform {

namespace {

using compute::RunSite;

constexpr const char* kName = "process";
constexpr const char* kTitle = "Process";
constexpr const char* kUnit = "process";
constexpr const char* kPlaces = "spools";

void check(const process& decorator) {
  if (decorator.slots < 0 || !(decorator.seconds >= 0))
    throw Error(ErrorCode::invalid_value, "slots and seconds are at least 0");
}

std::string spool_of(const RunSite& site) { return site.settings.get("PROCESS_SPOOL", ""); }

class ProcessPlan : public compute::PlatformPlan {
 public:
  ProcessPlan(const RunSite& site, const std::vector<compute::PlannedStep>& steps) : site_(site) {
    for (const compute::PlannedStep& step : steps) {
      const auto asked = *graph::find_decorator<process>(*step.decorators);
      requests_.emplace(step.name,
                        JobRequest{.slots = asked.slots, .limit = static_cast<std::int64_t>(asked.seconds * 1e6)});
    }
  }

  compute::Needs needs() const override { return {}; }

  void prepare() override {
    if (!Spool(spool_of(site_)).has_runner())
      throw Error::of_platform(kTitle, "There is no runner", "Start one: process_runner $METAFLOW_PROCESS_SPOOL");
  }

  std::unique_ptr<compute::Backend> make_backend(const compute::BackendSite& site) override {
    ProcessOptions options{.spool = spool_of(site_),
                           .run = site.run,
                           .user = site_.user,
                           .requests = requests_,
                           .command = site.command,
                           .environment = base::own_environment(),
                           .max_log_size = site.max_log_size};
    base::set_variable(options.environment, "METAFLOW_USER=" + site_.user);
    compute::note_places(site.store, site.run, kName, kPlaces, {options.spool});
    return std::make_unique<compute::RemoteAttempts>(
        site.loop, site.clock, site.events, site.open_store,
        compute::RemoteOptions{.unit = kUnit, .uncounted_retries = 1}, [&](compute::JobEvents& events) {
          return std::make_unique<ProcessJobs>(site.loop, events, site.store, std::move(options));
        });
  }

 private:
  const RunSite& site_;
  std::map<std::string, JobRequest> requests_;  // by step
};

class ProcessPlatform : public compute::Platform {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return kTitle; }
  std::string unit() const override { return kUnit; }
  const graph::DecoratorKind& decorator() const override {
    static const graph::DecoratorKind kKind = graph::kind_of<process, check>();
    return kKind;
  }
  std::unique_ptr<compute::PlatformPlan> plan(const RunSite& site,
                                              const std::vector<compute::PlannedStep>& steps) const override {
    return std::make_unique<ProcessPlan>(site, steps);
  }
  std::string job_places() const override { return kPlaces; }
  std::unique_ptr<compute::RunJobs> run_jobs(const RunSite& site, store::FlowStore& /*store*/,
                                             const std::set<std::string>& spools) const override {
    return std::make_unique<ProcessRunJobs>(spools.empty() ? std::set<std::string>{spool_of(site)} : spools);
  }
  std::optional<std::uint64_t> place_in_array() const override {
    const char* place = std::getenv(kPlaceVariable);
    if (place == nullptr) return std::nullopt;
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(place, place + std::strlen(place), number);
    return parsed.ec == std::errc() ? std::optional(number) : std::nullopt;
  }
};

}  // namespace

const compute::Platform& process_platform() {
  static const ProcessPlatform kPlatform;
  return kPlatform;
}

}  // namespace process_platform
}  // namespace metaflow
