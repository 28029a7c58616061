#include "graph/graph.h"

#include <algorithm>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "graph/problems.h"

namespace metaflow::graph {

using detail::Transition;

Graph::Graph(const detail::FlowDescription& flow, const DecoratorTable& table) : flow_(flow), table_(table) {
  analysis_ = detail::analyse(flow.steps);
  if (analysis_.problem != detail::Problem::none) throw invalid_graph(flow, analysis_);
  for (std::size_t i = 0; i < flow.steps.size(); ++i) {
    const auto& described = flow.steps[i];
    Step step;
    step.name = described.name;
    step.doc = described.doc;
    step.transition = described.transition;
    step.next = described.targets;
    step.cases = described.cases;
    step.variable = described.variable;
    step.join = described.join;
    step.matching_join = analysis_.matching_join[i];
    step.open_splits = analysis_.open[i];
    for (const auto& described_decorator : described.decorators) {
      Decorator decorator = from_description(described_decorator);
      table_.check(decorator);
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

/// Adds a decorator. Throws if the step cannot have it.
void Graph::add(Step& step, Decorator decorator) const {
  const DecoratorKind& kind = table_.kind(decorator.name);
  if (kind.check_step != nullptr) kind.check_step(step);
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
