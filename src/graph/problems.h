// What is wrong with a graph, in Metaflow's words. The compiler checks flows in C++ (diagnostics.h); these are the
// errors of other flows.
#pragma once

#include <string>

#include <metaflow/detail/description.h>
#include <metaflow/error.h>

namespace metaflow::graph {

/// The error of a graph whose analysis found a problem.
Error invalid_graph(const detail::FlowDescription& flow, const detail::Analysis& analysis);

/// The error of a step with a transition to a step that does not exist.
Error unknown_target(const detail::FlowDescription& flow, const detail::StepDescription& step,
                     const std::string& target);

}  // namespace metaflow::graph
