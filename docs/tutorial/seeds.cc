#include <metaflow/metaflow.h>

#include <cstdio>
#include <random>
#include <vector>

namespace mf = metaflow;

struct Seeds : mf::FlowSpec<Seeds> {
  static constexpr auto doc = "Estimates pi with several seeds in parallel.";

  mf::Parameter<long> darts{{.value = 1'000'000, .help = "How many darts to throw with each seed."}};
  mf::Parameter<unsigned> count{{.value = 4, .help = "How many seeds."}};
  std::vector<unsigned> seeds;
  long hits = 0;
  double pi = 0;

  void start() {
    for (unsigned seed = 1; seed <= *count; ++seed) seeds.push_back(seed);
  }

  void play(unsigned seed) {  // one task for each seed
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> side(0, 1);
    for (long i = 0; i < *darts; ++i) {
      const double x = side(random);
      const double y = side(random);
      if (x * x + y * y < 1) ++hits;
    }
  }

  void collect(const mf::Inputs<Seeds>& inputs) {  // the join: all tasks of play lead here
    for (long h : inputs.each(&Seeds::hits)) hits += h;
    pi = 4.0 * static_cast<double>(hits) / (static_cast<double>(*darts) * static_cast<double>(inputs.size()));
  }

  void end() { std::printf("pi is about %.4f\n", pi); }

  static auto graph() {
    return mf::graph(mf::step<&Seeds::start>(mf::foreach<&Seeds::seeds, &Seeds::play>),
                     mf::step<&Seeds::play>(mf::next<&Seeds::collect>),
                     mf::step<&Seeds::collect>(mf::next<&Seeds::end>), mf::step<&Seeds::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Seeds>(argc, argv); }
