// A flow that has a parameter of every type. The headers of flows and those of the library do not go into one file:
// graph is a function in the former and a namespace in the latter.
#pragma once

#include <metaflow/detail/table.h>

namespace metaflow::fuzz {

const detail::FlowTable& parameters_flow();

}  // namespace metaflow::fuzz
