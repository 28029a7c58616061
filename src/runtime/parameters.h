// The parameters of a flow: from the command line into the pseudo step `_parameters`.
#pragma once

#include <string>
#include <vector>

#include <metaflow/detail/description.h>
#include <metaflow/value.h>

#include "graph/graph.h"
#include "runtime/task/artifacts.h"

namespace metaflow::runtime {

/// One parameter as an option of `run`.
struct ParameterOption {
  std::size_t member = 0;
  std::string option;  // "n": --n, METAFLOW_RUN_N
  std::string help;
  std::string separator;
  detail::ParameterType type = detail::ParameterType::text;
  detail::ParameterType item_type = detail::ParameterType::text;
  bool required = false;
  bool has_default = false;
  std::string default_text;  // for --help
};

/// The parameters of a flow, sorted by the name of the member as Metaflow does. Throws Error{invalid_flow} for a name
/// that is reserved or used twice.
std::vector<ParameterOption> parameter_options(const detail::FlowDescription& flow);

/// Gives the parameter the value that the text of its option means; throws Error{usage} in Metaflow's words if it means
/// none.
void set_parameter(const FlowObject& flow, const ParameterOption& parameter, const std::string& text);

/// Writes the task `_parameters`, which holds parameters and constants. `given`: text per member, empty optional: not
/// given.
store::TaskData save_parameters(const graph::Graph& graph, store::FlowStore& store,
                                const std::vector<ParameterOption>& parameters,
                                const std::vector<std::optional<std::string>>& given, const std::string& program);

/// Puts the graph of the program into what a task `_parameters` holds.
void replace_graph_info(store::TaskData& data, const graph::Graph& graph, store::FlowStore& store,
                        const std::string& program);

}  // namespace metaflow::runtime
