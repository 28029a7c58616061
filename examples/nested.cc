// A foreach inside a foreach: every model on every data set.
#include <metaflow/metaflow.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace mf = metaflow;

struct Nested : mf::FlowSpec<Nested> {
  static constexpr auto doc = "Scores every model on every data set.";

  const std::vector<std::string> models{"linear", "tree", "forest"};
  std::vector<std::string> data_sets;
  std::string data_set;
  std::string model;
  double score = 0;
  std::map<std::string, double> scores;                        // of one data set, by model
  std::map<std::string, std::map<std::string, double>> table;  // by data set

  void start() { data_sets = {"iris", "wine"}; }

  void load(const std::string& name) { data_set = name; }

  void train(const std::string& name) {
    model = name;
    // The item of the outer foreach is available as an artifact that load() set, and through current().
    score = static_cast<double>(data_set.size() * name.size()) /
            static_cast<double>(mf::current().input(&Nested::data_sets).size());
  }

  void join_models(const mf::Inputs<Nested>& inputs) {
    for (const Nested& input : inputs) scores[input.model] = input.score;
  }

  void join_data_sets(const mf::Inputs<Nested>& inputs) {
    for (const Nested& input : inputs) table[input.data_set] = input.scores;
  }

  void end() {
    for (const auto& [name, by_model] : table) {
      for (const auto& [by, value] : by_model) std::printf("%-5s %-7s %5.2f\n", name.c_str(), by.c_str(), value);
    }
  }

  static auto graph() {
    using N = Nested;
    return mf::graph(mf::step<&N::start>(mf::foreach<&N::data_sets, &N::load>),
                     mf::step<&N::load>(mf::foreach<&N::models, &N::train>),
                     mf::step<&N::train>(mf::next<&N::join_models>),
                     mf::step<&N::join_models>(mf::next<&N::join_data_sets>),
                     mf::step<&N::join_data_sets>(mf::next<&N::end>), mf::step<&N::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Nested>(argc, argv); }
