// What only the language of a flow's steps knows: the types of its values, and its code. The scheduler and the command
// line know a flow by its description; where that is not enough, they ask here.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/codec.h>
#include <metaflow/detail/description.h>
#include <metaflow/value.h>

#include "compute/step_arguments.h"
#include "graph/graph.h"
#include "runtime/task/exit_status.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

/// The value of a parameter that was given for a run.
struct GivenValue {
  std::string_view artifact;
  const Value* value;
};

/// One flow's. Not thread-safe.
class Language {
 public:
  /// Throws Error{invalid_value} if an artifact cannot be read from a value. `place`: of the value, for the message.
  using ValueCheck = std::function<void(std::string_view artifact, const Value& value, const detail::Place& place)>;

  Language() = default;
  Language(const Language&) = delete;
  Language& operator=(const Language&) = delete;
  virtual ~Language() = default;

  /// The parameters in the order of the program. They are not in the description: what they are by default, only the
  /// flow's initial values tell, and tasks, which are many, do without.
  virtual std::vector<detail::ParameterDescription> parameters() const = 0;

  virtual ValueCheck value_check() const = 0;

  /// Stores the parameters, those that are not given as they are by default, and the constants. Throws what a
  /// ValueCheck throws, and Error{data_store}.
  virtual std::vector<store::ArtifactRecord> save_parameters(store::FlowStore& store,
                                                             std::span<const GivenValue> given) const = 0;

  /// Executes one task in this process. `command`: the words that start this program again (base::own_command). Returns
  /// the exit status; what went wrong has been written to the standard error stream.
  virtual int execute_task(const detail::FlowDescription& flow, const graph::DecoratorTable& decorators,
                           const compute::StepArguments& arguments, const std::vector<std::string>& command) const = 0;
};

/// Throws Error{invalid_flow} if `catch` is to put what a step failed of into an artifact that cannot hold it.
void check_catch(const graph::Graph& graph, const Language& language);

}  // namespace metaflow::runtime
