// A helper for tests of the scheduler: graphs without a flow.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <metaflow/detail/description.h>

#include "graph/graph.h"

namespace metaflow::graph {

struct TestStep {
  std::string_view name;
  detail::Transition transition = detail::Transition::none;
  std::vector<int> next = {};
  bool join = false;
  std::vector<detail::Decorator> decorators = {};
};

/// A graph that owns its description.
class TestGraph {
 public:
  TestGraph(std::initializer_list<TestStep> steps) : description_(describe(steps)), graph_(description_, table_) {}
  TestGraph(const TestGraph&) = delete;
  TestGraph& operator=(const TestGraph&) = delete;

  const Graph& operator*() const { return graph_; }
  const Graph* operator->() const { return &graph_; }

 private:
  static detail::FlowDescription describe(std::initializer_list<TestStep> steps) {
    detail::FlowDescription description;
    description.name = std::string(1, 'F');
    for (const TestStep& step : steps) {
      description.steps.push_back({.name = std::string(step.name),
                                   .transition = step.transition,
                                   .targets = step.next,
                                   .join = step.join,
                                   .decorators = step.decorators});
    }
    return description;
  }

  DecoratorTable table_{core_decorators()};
  detail::FlowDescription description_;
  Graph graph_;
};

}  // namespace metaflow::graph
