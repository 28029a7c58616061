// What depends on the language of a flow's steps: the types of its values, and its code. The scheduler and the command
// line know a flow by its description, and ask Language for the rest.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/codec.h>
#include <metaflow/detail/description.h>
#include <metaflow/value.h>

#include "compute/package/package.h"
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

/// The language side of one flow. Not thread-safe.
class Language {
 public:
  /// Throws Error{invalid_value} if the artifact cannot hold the value. `place`: the place of the value, for the
  /// message.
  using ValueCheck = std::function<void(std::string_view artifact, const Value& value, const detail::Place& place)>;

  Language() = default;
  Language(const Language&) = delete;
  Language& operator=(const Language&) = delete;
  virtual ~Language() = default;

  /// For messages: "C++".
  virtual std::string name() const = 0;

  /// The parameters in the order of the program. They are not in the description: their defaults come from the initial
  /// values of a flow object, which tasks do not need.
  virtual std::vector<detail::ParameterDescription> parameters() const = 0;

  /// Empty: an artifact can hold any value, also one that only the language itself can read.
  virtual ValueCheck value_check() const = 0;

  /// Stores the parameters and the constants. A parameter that is not given gets its default. Throws what a ValueCheck
  /// throws, and Error{data_store}.
  virtual std::vector<store::ArtifactRecord> save_parameters(store::FlowStore& store,
                                                             std::span<const GivenValue> given) const = 0;

  /// The words that start a process that knows the command `step`, before its arguments. Default: this program.
  virtual std::vector<std::string> task_command() const;

  /// Whether that command also knows kForkServerArgument (base/fork_protocol.h). This program always does.
  virtual bool has_fork_server() const { return false; }

  /// The suffixes of the files beside the flow that its tasks need on other hosts: ".py". Empty if all that they need
  /// is in this program.
  virtual std::vector<std::string> source_suffixes() const { return {}; }
  /// The debugger of the language: an option of `debug`, and METAFLOW_DEBUGGER of the task's process. Empty: none.
  virtual std::string debugger() const { return {}; }
  /// Options that the language has read and removed before this program sees the command line: for --help.
  struct OwnOption {
    std::string name;   // "--config"
    std::string value;  // "NAME PATH"
    std::string help;
  };
  virtual std::vector<OwnOption> own_options() const { return {}; }
  /// The code of the flow that is not in this program, for other hosts; nothing if all of it is here. `suffixes`: of
  /// the files beside the flow that its tasks need, besides those of the language. Throws Error{invalid_command,
  /// data_store}.
  virtual std::optional<compute::FlowCode> code(const std::vector<std::string>& /*suffixes*/) const {
    return std::nullopt;
  }
  /// The image of Docker Hub that tasks in containers need; empty if any will do.
  virtual std::string image() const { return {}; }

  /// Executes one task in this process. `command`: the words that start this program again (base::own_command). Returns
  /// the exit code; errors have been written to standard error.
  virtual int execute_task(const detail::FlowDescription& flow, const graph::DecoratorTable& decorators,
                           const compute::StepArguments& arguments, const std::vector<std::string>& command) const = 0;
};

/// Throws Error{invalid_flow} if `catch` names an artifact that cannot hold an exception.
void check_catch(const graph::Graph& graph, const Language& language);

}  // namespace metaflow::runtime
