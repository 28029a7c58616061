// A flow of C++ without its types, as constant tables: what a flow binary hands to the library. Filled in by
// describe.h; costs a flow no code but the functions that are pointed to. Of this the library makes the description
// that the scheduler and the command line work with (description.h); the tables themselves are for executing tasks.
#pragma once

#include <memory>
#include <string_view>

#include <metaflow/detail/kinds.h>
#include <metaflow/detail/shape.h>
#include <metaflow/detail/step.h>
#include <metaflow/detail/stored.h>
#include <metaflow/parameter.h>
#include <metaflow/value.h>

namespace metaflow::detail {

class InputsCore;

/// What can be done with a parameter of some type.
struct ParameterOps {
  ParameterType type;       // of the parameter
  ParameterType item_type;  // of a list's items
  bool optional;
  const ParameterBase& (*base)(const void* member);
};

/// What can be done with a data member of some type; one table per type.
struct MemberOps {
  ArtifactKind kind;
  std::string_view type_name;  // as in C++, for messages and _graph_info
  void (*encode)(const void* member, Pickler& out);
  void (*decode)(void* member, const Value& value, const Place& place);
  // lazy and array: refer to a stored value; the stored value it still is, or null; the file that holds a payload
  // already, or -1
  void (*attach)(void* member, std::shared_ptr<const StoredValue> stored);
  const StoredValue* (*stored)(const void* member);
  int (*spool_file)(const void* member);
  const ParameterOps* parameter;
};

struct Member {
  std::string_view name;
  const MemberOps* ops;
};

/// What a step gets when it runs.
struct StepCall {
  void* flow;
  const Value* item = nullptr;   // of the innermost foreach around the step
  InputsCore* inputs = nullptr;  // of a join
};

struct StepTable {
  void (*run)(const StepCall& call) = nullptr;
  int variable = -1;                                             // index of the member that foreach or choose looks at
  int (*choose)(const void* member) = nullptr;                   // index of the case that holds; -1: none
  const std::string_view* cases = nullptr;                       // of choose, one per target
  std::string_view (*enumerator)(const void* member) = nullptr;  // of choose: the name of the value, if known
};

struct FlowTable {
  std::string_view name;
  std::string_view (*doc)();
  std::string_view project;  // empty: none
  const Member* members;
  int member_count;
  const ShapeStep* shape;  // one per step, as are:
  const StepTable* steps;
  int step_count;
  const int* targets;
  void* (*make)();
  void (*destroy)(void* flow);
  void (*addresses)(void* flow, void** members);
};

/// Runs the command line of a flow. Returns the exit status.
int run_flow(const FlowTable& flow, const GraphSayings& said, int argc, char** argv);

}  // namespace metaflow::detail
