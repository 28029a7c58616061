// The decorators that belong to no platform.
#include <cmath>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/format.h"
#include "base/process.h"
#include "base/text.h"
#include "graph/decorator_kind.h"
#include "graph/graph.h"

namespace metaflow {

detail::Decorator make_decorator(const resources& decorator) { return graph::describe_decorator(decorator); }
detail::Decorator make_decorator(const environment& decorator) { return graph::describe_decorator(decorator); }
detail::Decorator make_decorator(const retry& decorator) { return graph::describe_decorator(decorator); }
detail::Decorator make_decorator(const timeout& decorator) { return graph::describe_decorator(decorator); }
detail::Decorator make_decorator(const catch_& decorator) { return graph::describe_decorator(decorator); }

namespace graph {

template std::optional<resources> find_decorator<resources>(const std::vector<Decorator>&);
template std::optional<environment> find_decorator<environment>(const std::vector<Decorator>&);
template std::optional<retry> find_decorator<retry>(const std::vector<Decorator>&);
template std::optional<timeout> find_decorator<timeout>(const std::vector<Decorator>&);
template std::optional<catch_> find_decorator<catch_>(const std::vector<Decorator>&);

namespace {

constexpr int kMaxRetries = 4;  // Metaflow's limit: at most 6 attempts, including the last one for catch
// Limit of Linux: bytes of all NAME=value together, regardless of the stack size.
constexpr std::size_t kMaxVariablesSize = 6 * 1024 * 1024;
constexpr const char* kTooLong = "Put the value into a file or an artifact.";
constexpr double kMaxMinutes = 60 * 24 * 365;

double seconds_of(const timeout& limit) { return limit.seconds + limit.minutes * 60 + limit.hours * 3600; }

void check_environment(const environment& decorator) {
  std::size_t total = 0;
  for (const auto& [name, value] : decorator.vars) {
    if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos)
      throw Error(ErrorCode::invalid_value, fmt::format("'{}' is not a valid name of an environment variable", name));
    if (value.find('\0') != std::string::npos)
      throw Error(ErrorCode::invalid_value, fmt::format("the value of '{}' has a zero byte", name));
    const std::size_t size = name.size() + value.size() + 2;
    if (size > base::kMaxArgumentSize)
      throw Error(ErrorCode::invalid_value,
                  fmt::format("the value of '{}' has {} bytes: with its name Linux passes at most {} to a process",
                              name, base::grouped(value.size()), base::grouped(base::kMaxArgumentSize - 2)),
                  kTooLong);
    total += size;
  }
  if (total > kMaxVariablesSize)
    throw Error(ErrorCode::invalid_value,
                fmt::format("the variables have {} bytes together: Linux passes at most {} to a process",
                            base::grouped(total), base::grouped(kMaxVariablesSize)),
                kTooLong);
}

void check_retry(const retry& decorator) {
  if (decorator.times < 0) throw Error(ErrorCode::invalid_value, "times must be at least 0");
  if (decorator.times > kMaxRetries)
    throw Error(ErrorCode::invalid_value,
                fmt::format("The maximum number of retries is @retry(times={}).", kMaxRetries));
  const double pause = decorator.minutes_between_retries.value_or(0);
  if (!(pause >= 0 && pause <= kMaxMinutes))
    throw Error(ErrorCode::invalid_value, fmt::format("minutes_between_retries must be from 0 to {}", kMaxMinutes));
}

void check_timeout(const timeout& decorator) {
  const double minutes = seconds_of(decorator) / 60;
  if (decorator.seconds < 0 || decorator.minutes < 0 || decorator.hours < 0 || !(minutes > 0 && minutes <= kMaxMinutes))
    throw Error(ErrorCode::invalid_value, "Specify a duration for @timeout.",
                "For example: seconds=90, or hours=1,minutes=30.");
}

void check_catch(const catch_& decorator) {
  const std::string& name = decorator.var.name();
  if (name.empty()) return;
  if (detail::identifier_before(name, name.size()) != name || name.starts_with('_') || base::is_digit(name[0]) ||
      name == "name")
    throw Error(ErrorCode::invalid_value, fmt::format("'{}' is not a valid name of an artifact", name));
}

void check_catch_step(const Step& step) {
  const bool fans_out = step.transition == detail::Transition::foreach;
  if (fans_out || step.transition == detail::Transition::choose) {
    throw Error(ErrorCode::invalid_flow,
                fmt::format("@catch is defined for the step {} but @catch is not supported in {} steps.", step.name,
                            fans_out ? "foreach split" : "conditional switch"),
                "The next step depends on the result of this step. Put catch on the steps after it.");
  }
}

DecoratorKind environment_kind() {
  DecoratorKind kind = kind_of<environment, check_environment>();
  kind.normalise = [](Json& attributes) { change(attributes, {"vars"}, make_text); };
  return kind;
}

DecoratorKind catch_kind() {
  DecoratorKind kind = kind_of<catch_, check_catch>();
  kind.check_step = check_catch_step;
  return kind;
}

}  // namespace

std::vector<const DecoratorKind*> core_decorators() {
  static const DecoratorKind kKinds[] = {catch_kind(), environment_kind(), kind_of<resources>(),
                                         kind_of<retry, check_retry>(), kind_of<timeout, check_timeout>()};
  std::vector<const DecoratorKind*> kinds;
  for (const DecoratorKind& kind : kKinds) kinds.push_back(&kind);
  return kinds;
}

bool may_hold_secrets(const Decorator& decorator) { return decorator.name == "environment"; }

Json public_attributes(const Decorator& decorator) {
  Json attributes = decorator.attributes;
  if (!may_hold_secrets(decorator)) return attributes;
  if (Json* variables = attributes.find("vars")) {
    for (auto& [name, value] : variables->members()) value = "***";
  }
  return attributes;
}

std::int64_t time_limit(const std::vector<Decorator>& decorators) {
  const auto limit = find_decorator<timeout>(decorators);
  return limit ? std::llround(seconds_of(*limit) * 1e6) : 0;
}

}  // namespace graph
}  // namespace metaflow
