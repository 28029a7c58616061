#include "parameters_flow.h"
#include <metaflow/metaflow.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace metaflow::fuzz {

namespace {

struct Limits {
  int low = 0;
  std::vector<double> more;
};

struct Parameters : FlowSpec<Parameters> {
  Parameter<int> integer{{.value = 3}};
  Parameter<std::uint64_t> large{{.value = 3}};
  Parameter<double> real{{.value = 0.01}};
  Parameter<float> single{{.value = 0.01F}};
  Parameter<bool> flag{{.value = false}};
  Parameter<std::string> text{{.value = "default"}};
  Parameter<std::filesystem::path> path{{.value = "/tmp"}};
  Parameter<std::optional<double>> maybe;
  Parameter<std::vector<int>> numbers{{.value = {{1, 2}}}};
  Parameter<std::vector<std::string>> words{{.value = {{"a", "b"}}, .separator = ";"}};
  Parameter<std::map<std::string, int>> dict{{.value = {{{"a", 1}}}}};
  Parameter<Limits> limits{{.value = Limits{}}};

  void start() {}
  void end() {}

  static auto graph() {
    return metaflow::graph(step<&Parameters::start>(next<&Parameters::end>), step<&Parameters::end>());
  }
};

}  // namespace

const detail::FlowTable& parameters_flow() { return detail::kFlowTable<Parameters>; }

}  // namespace metaflow::fuzz
