// A flow without its types: what the library below the templates knows of it. Filled in by <metaflow/flow.h>.
#pragma once

#include <metaflow/detail/decorator.h>
#include <metaflow/detail/pickler.h>
#include <metaflow/detail/shape.h>
#include <metaflow/detail/stored.h>
#include <metaflow/parameter.h>
#include <metaflow/value.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow::detail {

class InputsCore;

enum class MemberKind : std::uint8_t { plain, constant, parameter, lazy, array, transient };

/// What can be done with a parameter of some type.
struct ParameterOps {
  ParameterType type;       // of the parameter
  ParameterType item_type;  // of a list's items
  bool optional;
  const ParameterBase& (*base)(const void* member);
};

/// What can be done with a data member of some type; one table per type.
struct MemberOps {
  MemberKind kind;
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

struct StepDescription {
  Node node;
  int variable = -1;               // index of the member that foreach or choose looks at
  std::vector<std::string> cases;  // of choose, one per target
  std::string doc;
  std::vector<Decorator> decorators;
  void (*run)(const StepCall& call) = nullptr;
  int (*choose)(const void* member) = nullptr;  // index of the case that holds; -1: none
};

struct FlowDescription {
  std::string name;
  std::string doc;
  std::vector<Member> members;
  std::vector<StepDescription> steps;
  void* (*make)() = nullptr;
  void (*destroy)(void* flow) = nullptr;
  void (*addresses)(void* flow, void** members) = nullptr;
};

/// Runs the command line of a flow. Returns the exit status.
int run_flow(const FlowDescription& flow, int argc, char** argv);

}  // namespace metaflow::detail
