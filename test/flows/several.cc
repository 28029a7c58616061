// A program with two flows. A failing step, and a join, so that resume, debug and fork servers meet both.
#include <metaflow/metaflow.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace mf = metaflow;

namespace {

struct Train : mf::FlowSpec<Train> {
  static constexpr auto doc = "Trains a model. It fails if FAIL is set.";
  mf::Parameter<int> n{{.value = 3, .help = "how many rounds"}};
  std::vector<int> rounds;
  int score = 0;

  void start() {
    for (int i = 0; i < *n; ++i) rounds.push_back(i);
  }
  void round(int number) {
    if (number == 1 && std::getenv("FAIL") != nullptr) throw std::runtime_error("diverged");
    score = number;
  }
  void join(const mf::Inputs<Train>& inputs) {
    for (const int one : inputs.each(&Train::score)) score += one;
  }
  void end() { std::printf("The score of %s is %d.\n", mf::current().flow_name.c_str(), score); }

  static auto graph() {
    using S = Train;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::rounds, &S::round>), mf::step<&S::round>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>);
  }
};

struct Score : mf::FlowSpec<Score> {
  int value = 0;
  void start() { value = 7; }
  void end() { std::printf("The value is %d.\n", value); }
  static auto graph() { return mf::graph(mf::step<&Score::start>(mf::next<&Score::end>), mf::step<&Score::end>); }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Train, Score>(argc, argv); }
