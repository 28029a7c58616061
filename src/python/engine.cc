// metaflow-engine: the command line of a flow in Python. Python imports the flow, writes its description into a memory
// file, and becomes this program by exec: METAFLOW_DESCRIPTION names the descriptor, the first word is the flow's file.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "cli/main.h"
#include "python/described_flow.h"
#include "python/python_language.h"

namespace {

constexpr const char* kDescription = "METAFLOW_DESCRIPTION";

int run_engine(int argc, char** argv) {
  using namespace metaflow;
  const char* const number = std::getenv(kDescription);
  if (number == nullptr)
    throw Error(ErrorCode::usage, "metaflow-engine executes flows in Python, which start it: python flow.py run");
  const std::string path = fmt::format("/proc/self/fd/{}", std::atoi(number));
  const compute::Platforms& platforms = compute::platforms();
  auto description = base::read_file(path);
  if (!description) throw Error(ErrorCode::usage, fmt::format("{} is not a descriptor of this process", kDescription));
  const python::DescribedFlow flow = python::read_description(std::move(*description), platforms.decorators());
  ::close(std::atoi(number));
  ::unsetenv(kDescription);
  const python::PythonLanguage language(flow);
  return cli::run_program({.flow = flow.flow, .language = language, .launcher = flow.launcher}, platforms, argc, argv);
}

}  // namespace

int main(int argc, char** argv) {
  return metaflow::cli::run_and_report([&] { return run_engine(argc, argv); });
}
