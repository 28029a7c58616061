// Programs whose flows are in C++.
#pragma once

#include <span>

#include <metaflow/detail/table.h>

#include "compute/platform.h"

namespace metaflow::cli {

/// Executes the command line of a program with one flow or several. Returns the exit code.
int run_cpp_program(std::span<const detail::FlowEntry> flows, const compute::Platforms& platforms, int argc,
                    char** argv);

}  // namespace metaflow::cli
