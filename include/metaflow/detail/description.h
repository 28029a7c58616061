// A flow as the scheduler and the command line see it: plain data, independent of the language of its steps. For a flow
// in C++ the library makes it from the flow's tables (table.h).
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
  std::string variable{};            // the artifact that foreach or choose reads
  bool join = false;
  bool takes_item = false;
  std::vector<Decorator> decorators{};
  int line = 0;           // of the program; 0: not known
  bool is_start = false;  // whatever its name is
  bool is_end = false;
  std::string annotations{};  // decorators that the engine does not execute, as a JSON list; empty: none
};

/// An artifact declared by the program. A task may store others.
struct ArtifactDescription {
  std::string name;
  ArtifactKind kind = ArtifactKind::plain;
  std::string type{};  // Python's name of the type of a constant; the class of a parameter, if it is not Parameter
};

/// A parameter as an option of `run`. Its default may be computed by code of the flow, so it is evaluated on demand
/// (runtime/language.h).
struct ParameterDescription {
  std::string name;    // of the artifact
  std::string option;  // "n": --n, METAFLOW_RUN_N
  std::string help{};
  std::string separator{};  // between the items of a list; empty: a comma
  ParameterType type = ParameterType::text;
  ParameterType item_type = ParameterType::text;  // type of the items of a list
  bool required = false;
  std::string default_text{};  // for --help
};

struct FlowDescription {
  std::string name;
  std::string doc{};
  std::string project{};         // empty: none
  std::string file{};            // the source of the program; empty: not known
  std::string decorators{};      // of the flow, as a JSON list; empty: none
  std::string python_version{};  // "3.11.7"; empty: the flow is in C++
  std::vector<StepDescription> steps{};
  std::vector<ArtifactDescription> artifacts{};  // in the order of declaration

  /// Null if no step has this name.
  const StepDescription* find_step(std::string_view name) const;
  const ArtifactDescription* find_artifact(std::string_view name) const;
};

/// The result of the analysis of a graph.
struct Analysis {
  Problem problem = Problem::none;
  int step = -1;   // the step with the problem
  int other = -1;  // the other step involved, if any
  int start = -1;
  int end = -1;
  std::vector<int> order;                    // reachable steps in topological order
  std::vector<std::vector<OpenSplit>> open;  // per step: the splits around it, outermost first
  std::vector<int> matching_join;            // per step that splits: the join; else -1
};

/// The compiler's analysis of a flow (shape.h), at run time.
Analysis analyse(const std::vector<StepDescription>& steps);

}  // namespace metaflow::detail
