// The step graph of a flow as data: validation, order, output formats.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <metaflow/detail/description.h>

#include "graph/decorators.h"

namespace metaflow::graph {

struct Step {
  std::string name;
  std::string doc;
  detail::Transition transition;
  std::vector<int> next;           // indices of steps
  std::vector<std::string> cases;  // of choose, one per next
  std::string variable;            // artifact of foreach or choose
  bool join = false;
  int matching_join = -1;                      // the join of a split
  std::vector<detail::OpenSplit> open_splits;  // splits around the step, outermost first
  std::vector<Decorator> decorators;
};

/// Immutable once the decorators are attached.
class Graph {
 public:
  /// Throws Error{invalid_flow} if the flow breaks a rule that the compiler cannot check, and the errors of the table.
  /// `flow` and `table` must outlive this object.
  Graph(const detail::FlowDescription& flow, const DecoratorTable& table);

  const detail::FlowDescription& flow() const { return flow_; }
  const std::vector<Step>& steps() const { return steps_; }
  const Step& step(int index) const { return steps_[static_cast<std::size_t>(index)]; }
  /// -1 if there is no such step.
  int find(std::string_view name) const;
  int start() const { return analysis_.start; }
  int end() const { return analysis_.end; }
  /// Topological order; steps at the same depth in the order of graph().
  const std::vector<int>& order() const { return order_; }

  /// Adds a decorator to every step without one of its name. Throws Error{invalid_flow} if a step cannot have it.
  void attach(const Decorator& decorator);

  /// Metaflow's type of a step: "start", "linear", "split-static", "split-foreach", "split-switch", "join", "end".
  std::string_view type_of(int step) const;

 private:
  void add(Step& step, Decorator decorator) const;

  const detail::FlowDescription& flow_;
  const DecoratorTable& table_;
  detail::Analysis analysis_;
  std::vector<Step> steps_;
  std::vector<int> order_;
};

/// The output of `show`, one text per step.
std::vector<std::string> to_text(const Graph& graph);
/// In GraphViz format.
std::string to_dot(const Graph& graph);
/// {"graph": {...}, "graph_structure": [...]}: the output of `output-raw --json`.
Json to_json(const Graph& graph);
/// The value of the artifact _graph_info, which the clients and the UI read.
Json graph_info(const Graph& graph, const std::string& file);

}  // namespace metaflow::graph
