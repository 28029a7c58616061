// A flow as the library works with it: its tables and what its steps say, in one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <metaflow/detail/table.h>

namespace metaflow::detail {

/// A step as far as the shape of the graph goes.
struct Node {
  std::string_view name;
  Transition transition = Transition::none;
  std::vector<int> targets;  // indices of steps; kUnknownStep for a step that is not in the graph
  bool join = false;
  bool takes_item = false;
};

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
Analysis analyse(const std::vector<Node>& nodes);

struct StepDescription {
  Node node;
  int variable = -1;               // index of the member that foreach or choose looks at
  std::vector<std::string> cases;  // of choose, one per target
  std::string doc;
  std::vector<Decorator> decorators;
  void (*run)(const StepCall& call) = nullptr;
  int (*choose)(const void* member) = nullptr;                   // index of the case that holds; -1: none
  std::string_view (*enumerator)(const void* member) = nullptr;  // of choose: the name of the value, if known
};

struct FlowDescription {
  std::string name;
  std::string doc;
  std::string project;  // empty: none
  std::vector<Member> members;
  std::vector<StepDescription> steps;
  void* (*make)() = nullptr;
  void (*destroy)(void* flow) = nullptr;
  void (*addresses)(void* flow, void** members) = nullptr;
};

/// Runs the command line of a flow. Returns the exit status.
int run_flow(const FlowDescription& flow, int argc, char** argv);

}  // namespace metaflow::detail
