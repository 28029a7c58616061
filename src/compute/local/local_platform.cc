#include "compute/local/local_platform.h"

#include <map>
#include <optional>
#include <utility>

#include "compute/local/local_backend.h"
#include "compute/local/machine.h"
#include "graph/decorator_kind.h"

namespace metaflow {

detail::Decorator make_decorator(const local& decorator) { return graph::describe_decorator(decorator); }

template std::optional<local> graph::find_decorator<local>(const std::vector<Decorator>&);

namespace compute {

namespace {

class LocalPlan : public PlatformPlan {
 public:
  explicit LocalPlan(const std::vector<PlannedStep>& steps) {
    std::optional<Machine> machine;  // detected if a step needs it
    for (const PlannedStep& step : steps) {
      const auto request = local_request(*step.decorators);
      if (!request) continue;
      if (!machine) machine.emplace();
      machine->check(step.name, *request);
      requests_.emplace(step.name, *request);
    }
  }

  Needs needs() const override { return {}; }

  std::unique_ptr<Backend> make_backend(const BackendSite& site) override {
    return std::make_unique<LocalBackend>(site.loop, site.events, site.command, site.task_environment,
                                          std::move(requests_), site.command_forks);
  }

 private:
  std::map<std::string, Request> requests_;  // by step, for those that wait for room
};

class LocalPlatform : public Platform {
 public:
  std::string name() const override { return "local"; }
  std::string title() const override { return "this machine (local)"; }
  std::string unit() const override { return "process"; }
  const graph::DecoratorKind& decorator() const override {
    static const graph::DecoratorKind kKind = graph::kind_of<local>();
    return kKind;
  }
  std::unique_ptr<PlatformPlan> plan(const RunSite& /*site*/, const std::vector<PlannedStep>& steps) const override {
    return std::make_unique<LocalPlan>(steps);
  }
};

}  // namespace

const Platform& local_platform() {
  static const LocalPlatform kPlatform;
  return kPlatform;
}

}  // namespace compute
}  // namespace metaflow
