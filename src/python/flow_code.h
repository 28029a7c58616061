// What a flow in Python consists of on other hosts, besides the engine:
//
//   flow.json                 its description for the engine (described_flow.h)
//   code/                     the directory of the flow, which is the working directory of tasks
//   python/metaflow_cpp/      the Python package
//   lib/libmetaflow_task.so   the task side, among the libraries that it needs
#pragma once

#include <string>
#include <vector>

#include "compute/package/package.h"
#include "python/described_flow.h"

namespace metaflow::python {

/// Finds the files below a directory that a task may need, by Metaflow's rules: those with one of the suffixes, without
/// regard to case; links are followed; hidden files and directories are left out, except for files that a suffix names
/// completely (".env"). Also left out: virtual environments, which only work where they were made. Names are relative
/// to the directory. Throws Error{data_store}.
std::vector<compute::PackageFile> files_of_flow(const std::string& directory, const std::vector<std::string>& suffixes);

/// Throws Error{data_store}.
compute::FlowCode code_of_flow(const DescribedFlow& flow, const std::vector<std::string>& suffixes);

/// In a process that was started from a package: reads its description, makes its code the working directory, and lets
/// Python find the rest. Throws Error{usage} if this process was not.
base::SharedBytes enter_package();

}  // namespace metaflow::python
