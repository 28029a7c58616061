// A parameter sweep: one task per point, then a join that finds the best one.
//
//   sweep run                                   8 points
//   sweep run --n 1000 --max-num-splits 1000    1,000 tasks
#include <metaflow/metaflow.h>

#include <cmath>
#include <cstdio>
#include <vector>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  static constexpr auto doc = "Finds the minimum of a function by trying points.";

  mf::Parameter<int> n{{.value = 8, .help = "How many points to try."}};
  mf::Lazy<std::vector<double>> alphas;  // lazy: a task reads its own point, not the whole list
  double result = 0;
  double best = 0;
  double best_alpha = 0;

  void start() {
    for (int i = 0; i < *n; ++i) alphas.edit().push_back(4.0 * i / *n);
  }

  void work(double alpha) { result = std::cos(3 * alpha) + 0.1 * alpha * alpha; }

  void join(const mf::Inputs<Sweep>& inputs) {
    best = inputs[0].result;
    for (std::size_t i = 0; double r : inputs.each(&Sweep::result)) {
      if (r <= best) {
        best = r;
        best_alpha = (*alphas)[i];
      }
      ++i;
    }
  }

  void end() { std::printf("The minimum of %zu points is %f at %f.\n", alphas->size(), best, best_alpha); }

  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::alphas, &S::work>, mf::doc{"Lists the points."}),
                     mf::step<&S::work>(mf::next<&S::join>, mf::doc{"Evaluates one point."}),
                     mf::step<&S::join>(mf::next<&S::end>, mf::doc{"Finds the best one."}), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
