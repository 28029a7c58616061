// The parameters of a flow: from the command line to the pseudo step `_parameters`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <metaflow/detail/description.h>
#include <metaflow/value.h>

#include "graph/graph.h"
#include "runtime/language.h"

namespace metaflow::runtime {

/// The parameters of a flow, sorted by the name of the artifact as Metaflow does. Throws Error{invalid_flow} for an
/// option that is reserved or used twice.
std::vector<detail::ParameterDescription> parameter_options(const Language& language);

/// Parses the text of a parameter's option. Throws Error{usage}, in Metaflow's words, if it is not valid.
Document parse_parameter(const detail::ParameterDescription& parameter, const std::string& text);
/// As parse_parameter(); also throws Error{usage} if the parameter cannot hold the value.
void check_parameter(const detail::ParameterDescription& parameter, const std::string& text,
                     const Language::ValueCheck& check);

/// Writes the task `_parameters`, which holds parameters and constants. `given`: the text of each parameter; nothing:
/// not given.
store::TaskData save_parameters(const graph::Graph& graph, const Language& language, store::FlowStore& store,
                                const std::vector<detail::ParameterDescription>& parameters,
                                const std::vector<std::optional<std::string>>& given, const std::string& program);

/// Replaces the graph in the data of a task `_parameters` by the current one.
void replace_graph_info(store::TaskData& data, const graph::Graph& graph, store::FlowStore& store,
                        const std::string& program);

}  // namespace metaflow::runtime
