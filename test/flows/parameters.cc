// A parameter of every type.
#include <metaflow/metaflow.h>

#include <complex>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mf = metaflow;

namespace {

enum class Level { low, high };

struct Parameters : mf::FlowSpec<Parameters> {
  struct Limits {
    int low = 0;
    int high = 10;
  };

  mf::Parameter<std::string> needed{{.help = "A text that has to be given."}};
  mf::Parameter<int> number{{.value = 3, .help = "A number."}};
  mf::Parameter<unsigned short> small{{.value = 1}};
  mf::Parameter<double> real{{.value = 0.01, .help = "Learning rate"}};
  mf::Parameter<bool> flag{{.value = false, .help = "Yes or no."}};
  mf::Parameter<std::string> text{{.value = "default"}};
  mf::Parameter<std::filesystem::path> path{{.value = "/tmp"}};
  mf::Parameter<Level> level{{.value = Level::high}};
  mf::Parameter<std::optional<double>> maybe{{.help = "May be left out."}};
  mf::Parameter<std::vector<int>> numbers{{.value = {{1, 2}}, .help = "Numbers, with commas between."}};
  mf::Parameter<std::vector<std::string>> words{{.value = {{"a", "b"}}, .separator = ";"}};
  mf::Parameter<std::map<std::string, int>> dict{{.value = {{{"a", 1}}}, .help = "As JSON."}};
  mf::Parameter<Limits> limits{{.value = Limits{}}};
  mf::Parameter<std::optional<Limits>> no_limits;
  mf::Parameter<int> renamed{{.value = 1, .help = "Another name as an option.", .name = "my-name"}};

  void start() {}
  void end() {}

  static auto graph() {
    return mf::graph(mf::step<&Parameters::start>(mf::next<&Parameters::end>), mf::step<&Parameters::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Parameters>(argc, argv); }
