#include <metaflow/metaflow.h>

#include <cstdio>
#include <random>

namespace mf = metaflow;

struct Pi : mf::FlowSpec<Pi> {
  static constexpr auto doc = "Estimates pi by throwing darts at a square.";

  mf::Parameter<long> darts{{.value = 1'000'000, .help = "How many darts to throw."}};
  mf::Parameter<unsigned> seed{{.value = 1, .help = "Seed of the random numbers."}};
  long hits = 0;
  double pi = 0;

  void start() {
    std::mt19937_64 random(*seed);
    std::uniform_real_distribution<double> side(0, 1);
    for (long i = 0; i < *darts; ++i) {
      const double x = side(random);
      const double y = side(random);
      if (x * x + y * y < 1) ++hits;
    }
  }

  void end() {
    pi = 4.0 * static_cast<double>(hits) / static_cast<double>(*darts);
    std::printf("pi is about %.4f\n", pi);
  }

  static auto graph() { return mf::graph(mf::step<&Pi::start>(mf::next<&Pi::end>), mf::step<&Pi::end>()); }
};

int main(int argc, char** argv) { return mf::run<Pi>(argc, argv); }
