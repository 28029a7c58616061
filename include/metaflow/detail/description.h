// A flow as the scheduler and the command line know it: plain data, whatever language its steps are written in. That of
// a flow in C++ is made of its tables (table.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <metaflow/detail/decorator.h>
#include <metaflow/detail/kinds.h>
#include <metaflow/detail/shape.h>

namespace metaflow::detail {

struct StepDescription {
  std::string name;
  std::string doc{};
  Transition transition = Transition::none;
  std::vector<int> targets{};        // indices of steps; kUnknownStep for a step that is not in the graph
  std::vector<std::string> cases{};  // of choose, one per target
  std::string variable{};            // the artifact that foreach or choose looks at
  bool join = false;
  bool takes_item = false;
  std::vector<Decorator> decorators{};
};

/// What the program says of one artifact. A task may store others.
struct ArtifactDescription {
  std::string name;
  ArtifactKind kind = ArtifactKind::plain;
  std::string type{};  // of a constant: what Python would call its type
};

/// A parameter as an option of `run`. Its default may be made by code of the flow, so it is asked for when it is wanted
/// (runtime/language.h).
struct ParameterDescription {
  std::string name;    // of the artifact
  std::string option;  // "n": --n, METAFLOW_RUN_N
  std::string help{};
  std::string separator{};  // of a list's items; empty: a comma
  ParameterType type = ParameterType::text;
  ParameterType item_type = ParameterType::text;  // of a list's items
  bool required = false;
  std::string default_text{};  // for --help
};

struct FlowDescription {
  std::string name;
  std::string doc{};
  std::string project{};  // empty: none
  std::vector<StepDescription> steps{};
  std::vector<ArtifactDescription> artifacts{};  // in the order of the program

  /// Null if there is none of this name.
  const StepDescription* find_step(std::string_view name) const;
  const ArtifactDescription* find_artifact(std::string_view name) const;
};

/// What there is to know about a graph.
struct Analysis {
  Problem problem = Problem::none;
  int step = -1;   // where
  int other = -1;  // the other step that matters, if any
  int start = -1;
  int end = -1;
  std::vector<int> order;                    // reachable steps, every step after those that lead to it
  std::vector<std::vector<OpenSplit>> open;  // per step: the splits around it, outermost first
  std::vector<int> matching_join;            // per step that splits: the join; else -1
};

/// What the compiler does with a flow (shape.h), at run time.
Analysis analyse(const std::vector<StepDescription>& steps);

}  // namespace metaflow::detail
