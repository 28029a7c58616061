// A flow in C++ without its types, as constant tables, which a flow binary passes to the library. Filled in by
// describe.h; apart from the functions it points to it costs a flow no code. The library makes from it the description
// for the scheduler and the command line (description.h); the tables themselves are for executing tasks.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <metaflow/detail/kinds.h>
#include <metaflow/detail/shape.h>
#include <metaflow/detail/step.h>
#include <metaflow/detail/stored.h>
#include <metaflow/parameter.h>
#include <metaflow/value.h>

namespace metaflow::detail {

class InputsCore;

/// The operations on a parameter of some type.
struct ParameterOps {
  ParameterType type;       // of the parameter
  ParameterType item_type;  // type of the items of a list
  bool optional;
  const ParameterBase& (*base)(const void* member);
};

/// The operations on a data member of some type; one table per type.
struct MemberOps {
  ArtifactKind kind;
  std::string_view type_name;  // as in C++, for messages and _graph_info
  void (*encode)(const void* member, Pickler& out);
  void (*decode)(void* member, const Value& value, const Place& place);
  // lazy and array: refers to a stored value; the stored value that the member still equals, or null; the file that
  // already holds its payload, or -1
  void (*attach)(void* member, std::shared_ptr<const StoredValue> stored);
  const StoredValue* (*stored)(const void* member);
  int (*spool_file)(const void* member);
  const ParameterOps* parameter;
};

struct Member {
  std::string_view name;
  const MemberOps* ops;
};

/// The arguments of a step.
struct StepCall {
  void* flow;
  const Value* item = nullptr;   // item of the innermost foreach around the step
  InputsCore* inputs = nullptr;  // inputs of a join
};

struct StepTable {
  void (*run)(const StepCall& call) = nullptr;
  int variable = -1;                                             // index of the member that foreach or choose reads
  int (*choose)(const void* member) = nullptr;                   // index of the matching case; -1: none
  const std::string_view* cases = nullptr;                       // values of choose, one per target
  std::string_view (*enumerator)(const void* member) = nullptr;  // the enumerator's name, if known (choose)
  std::string (*label)(const Value& item) = nullptr;             // of an item of foreach, if the flow has one
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

/// One flow of a program.
struct FlowEntry {
  const FlowTable* table;
  GraphAnnotations (*annotations)();
};

/// Executes the command line of a program with at least one flow. Returns the exit code.
int run_flows(const FlowEntry* flows, std::size_t count, int argc, char** argv);

}  // namespace metaflow::detail
