// What a task finds around it: environment variables, working directory, tags and namespace of the run.
#include <metaflow/metaflow.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mf = metaflow;

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "(not set)";
}

struct Surroundings : mf::FlowSpec<Surroundings> {
  std::map<std::string, std::string> variables;
  std::string directory;
  std::vector<std::string> tags;
  std::string name_space;

  void start() { look(); }
  void with_variables() { look(); }
  void end() { look(); }

  void look() {
    for (const char* name : {"METAFLOW_RUN_ID", "METAFLOW_USER", "COLOUR", "SHAPE", "INHERITED"})
      variables[name] = variable(name);
    directory = std::filesystem::current_path();
    tags = mf::current().tags;
    name_space = mf::current().namespace_;
  }

  static auto graph() {
    using S = Surroundings;
    return mf::graph(mf::step<&S::start>(mf::next<&S::with_variables>),
                     mf::step<&S::with_variables>(mf::environment{{{"COLOUR", "red, green=blue"}, {"SHAPE", ""}}},
                                                  mf::next<&S::end>),
                     mf::step<&S::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Surroundings>(argc, argv); }
