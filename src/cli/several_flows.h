// Programs with several flows: the first word of their command line names the flow.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace metaflow::cli {

struct FlowName {
  std::string_view name;
  std::string_view doc;
};

/// The flow that a command line names, and the command line for this flow.
struct NamedFlow {
  std::size_t index;
  int argc;
  char** argv;
};

/// Reorders argv. Returns nothing if the command line names none of the flows.
std::optional<NamedFlow> find_named_flow(const std::vector<FlowName>& flows, int argc, char** argv);

/// Executes a command line that names no flow. Throws Error{usage}.
int run_without_flow(const std::vector<FlowName>& flows, int argc, char** argv);

}  // namespace metaflow::cli
