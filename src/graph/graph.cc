#include "graph/graph.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <metaflow/caught.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "value/unpickler.h"

namespace metaflow::graph {

using detail::Transition;

namespace {

/// Whether a member can be read from `value`.
bool fits(const detail::FlowDescription& flow, std::size_t member, const std::optional<CaughtException>& value) {
  std::vector<void*> addresses(flow.members.size());
  const std::unique_ptr<void, void (*)(void*)> object(flow.make(), flow.destroy);
  flow.addresses(object.get(), addresses.data());
  detail::Pickler pickler;
  detail::encode(pickler, value);
  pickler.finish();
  const Document document = value::read_back(pickler);
  try {
    flow.members[member].ops->decode(addresses[member], document.root(), detail::Place{});
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// The member that catch writes to must be able to hold what it writes.
void check_catch(const detail::FlowDescription& flow, const Decorator& decorator) {
  const auto variable = decorator.attributes.get<std::string>("var");
  for (std::size_t m = 0; m < flow.members.size(); ++m) {
    const detail::Member& member = flow.members[m];
    if (member.name != variable) continue;
    if (member.ops->kind != detail::MemberKind::plain || !fits(flow, m, std::nullopt) ||
        !fits(flow, m, CaughtException{})) {
      throw Error(ErrorCode::invalid_flow,
                  fmt::format("@catch is to put an exception into '{}', which cannot hold one", variable),
                  fmt::format("Declare it so: std::optional<mf::CaughtException> {};", variable));
    }
  }
}

}  // namespace

Graph::Graph(const detail::FlowDescription& flow) : flow_(flow) {
  std::vector<detail::Node> nodes;
  for (const auto& step : flow.steps) nodes.push_back(step.node);
  analysis_ = detail::analyse(nodes);
  if (analysis_.problem != detail::Problem::none) {
    throw Error(ErrorCode::invalid_flow, fmt::format("The graph of flow {} is not sound (problem {})", flow.name,
                                                     static_cast<int>(analysis_.problem)));
  }
  for (std::size_t i = 0; i < flow.steps.size(); ++i) {
    const auto& described = flow.steps[i];
    Step step;
    step.name = described.node.name;
    step.doc = described.doc;
    step.transition = described.node.transition;
    step.next = described.node.targets;
    step.cases = described.cases;
    if (described.variable >= 0) step.variable = flow.members[static_cast<std::size_t>(described.variable)].name;
    step.join = described.node.join;
    step.matching_join = analysis_.matching_join[i];
    step.open_splits = analysis_.open[i];
    for (const auto& described_decorator : described.decorators) {
      Decorator decorator = from_description(described_decorator);
      check_decorator(decorator);
      if (has_decorator(step.decorators, decorator.name)) {
        throw Error(ErrorCode::invalid_flow,
                    fmt::format("Step '{}' already has a decorator '{}'. You can specify this decorator only once.",
                                step.name, decorator.name));
      }
      add(step, std::move(decorator));
    }
    steps_.push_back(std::move(step));
  }
  order_ = analysis_.order;
}

int Graph::find(std::string_view name) const {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

void Graph::attach(const Decorator& decorator) {
  for (Step& step : steps_) {
    if (!has_decorator(step.decorators, decorator.name)) add(step, decorator);
  }
}

/// Adds a decorator, unless the step is of a kind that it cannot be on.
void Graph::add(Step& step, Decorator decorator) const {
  if (decorator.name == "catch") {
    const bool fans_out = step.transition == Transition::foreach;
    if (fans_out || step.transition == Transition::choose) {
      throw Error(ErrorCode::invalid_flow,
                  fmt::format("@catch is defined for the step {} but @catch is not supported in {} steps.", step.name,
                              fans_out ? "foreach split" : "conditional switch"),
                  "Which step comes next depends on what the step did. Put catch on the steps after it.");
    }
    check_catch(flow_, decorator);
  }
  step.decorators.push_back(std::move(decorator));
}

std::string_view Graph::type_of(int index) const {
  const Step& step = this->step(index);
  switch (step.transition) {
    case Transition::split: return "split-static";
    case Transition::foreach: return "split-foreach";
    case Transition::choose: return "split-switch";
    case Transition::linear:
    case Transition::none: break;
  }
  if (index == start() && steps_.size() > 1) return "start";
  if (index == end()) return "end";
  return step.join ? "join" : "linear";
}

}  // namespace metaflow::graph
