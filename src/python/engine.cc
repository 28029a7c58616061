// metaflow-engine: the command line of a flow in Python. Python imports the flow, writes its description into a memory
// file, and becomes this program by exec: METAFLOW_DESCRIPTION names the descriptor, the first word is the flow's file.
// On other hosts it is the program of the package, and finds a description there.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include <metaflow/error.h>

#include "base/capture.h"
#include "base/files.h"
#include "base/format.h"
#include "cli/main.h"
#include "compute/package/bootstrap.h"
#include "python/described_flow.h"
#include "python/flow_code.h"
#include "python/python_language.h"

namespace {

constexpr const char* kDescription = "METAFLOW_DESCRIPTION";

using namespace metaflow;

base::SharedBytes description_of_caller(int descriptor) {
  auto description = base::read_file(fmt::format("/proc/self/fd/{}", descriptor));
  if (!description) throw Error(ErrorCode::usage, fmt::format("{} is not a descriptor of this process", kDescription));
  ::close(descriptor);
  ::unsetenv(kDescription);
  return std::move(*description);
}

/// The interpreter of this host for the command of a package. False if there is none.
bool find_python(std::string& interpreter) {
  for (const char* name : {"python3", "python"}) {
    if (const auto found = base::search_path(name)) {
      interpreter = *found;
      return true;
    }
  }
  return false;
}

int run_engine(int argc, char** argv) {
  const char* const number = std::getenv(kDescription);
  const bool is_packaged = number == nullptr;
  const compute::Platforms& platforms = compute::platforms();
  python::DescribedFlow flow = python::read_description(
      is_packaged ? python::enter_package() : description_of_caller(std::atoi(number)), platforms.decorators());
  if (is_packaged && !find_python(flow.command.at(0))) {
    std::fputs("There is no python3 in PATH. A flow in Python needs an image with Python 3.9 or newer.\n", stderr);
    return compute::kImageUnfit;
  }
  const python::PythonLanguage language(flow);
  return cli::run_program({.flow = flow.flow, .language = language, .launcher = flow.launcher}, platforms, argc, argv);
}

}  // namespace

int main(int argc, char** argv) {
  return metaflow::cli::run_and_report([&] { return run_engine(argc, argv); });
}
