#include <metaflow/metaflow.h>

#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace mf = metaflow;

struct Rain : mf::FlowSpec<Rain> {
  static constexpr auto doc = "Adds up the rain that was measured in several towns.";

  mf::Parameter<std::vector<std::string>> towns{
      {.value = {{"Bonn", "Kiel", "Ulm"}}, .help = "Towns, each with a file."}};
  std::string town;
  double rain = 0;
  double total = 0;

  void start() {}

  void read(const std::string& name) {
    town = name;
    std::ifstream file(town + ".txt");
    if (!file) throw std::runtime_error("cannot open " + town + ".txt");
    for (double day; file >> day;) rain += day;
    if (!file.eof()) throw std::runtime_error(town + ".txt contains something that is not a number");
  }

  void add(const mf::Inputs<Rain>& inputs) {
    for (double r : inputs.each(&Rain::rain)) total += r;
  }

  void end() { std::printf("%.1f mm in all\n", total); }

  static auto graph() {
    return mf::graph(mf::step<&Rain::start>(mf::foreach<&Rain::towns, &Rain::read>),
                     mf::step<&Rain::read>(mf::next<&Rain::add>), mf::step<&Rain::add>(mf::next<&Rain::end>),
                     mf::step<&Rain::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Rain>(argc, argv); }
