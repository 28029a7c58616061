// The sum of a big random matrix.
//
//   bigsum run                      a small matrix
//   bigsum run --size 80000         51.2 GB: needs a large machine
//   bigsum run --blocks 8           sums blocks of rows in parallel
#include <metaflow/metaflow.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <vector>

namespace mf = metaflow;

namespace {

/// Random numbers in [0, 1), made on all cores. Each row has its own seed (xorshift64*, Vigna 2014).
std::vector<double> random_matrix(std::size_t rows, std::size_t columns) {
  std::vector<double> matrix(rows * columns);
  mf::parallel_map(mf::range(rows), [&](std::size_t row) {
    std::uint64_t state = 0x9E3779B97F4A7C15ULL * (row + 1);
    for (std::size_t i = row * columns; i < (row + 1) * columns; ++i) {
      state ^= state >> 12;
      state ^= state << 25;
      state ^= state >> 27;
      matrix[i] = static_cast<double>((state * 0x2545F4914F6CDD1DULL) >> 11) * 0x1p-53;
    }
  });
  return matrix;
}

}  // namespace

struct BigSum : mf::FlowSpec<BigSum> {
  static constexpr auto doc = "Sums a big random matrix.";

  mf::Parameter<std::size_t> size{{.value = 2000, .help = "Rows and columns of the matrix; 80000 needs 51.2 GB."}};
  mf::Parameter<std::size_t> blocks{{.value = 1, .help = "Blocks of rows to sum in parallel."}};
  double sum = 0;
  double took = 0;

  void start() {
    const auto big_matrix = random_matrix(*size, *size);
    const auto begin = std::chrono::steady_clock::now();
    if (*blocks > 1) {
      const std::size_t rows = (*size + *blocks - 1) / *blocks;
      const auto parts = mf::parallel_map(mf::range(0, *size, rows), [&](std::size_t row) {
        const auto from = big_matrix.begin() + static_cast<std::ptrdiff_t>(row * *size);
        const auto to = big_matrix.begin() + static_cast<std::ptrdiff_t>(std::min(*size, row + rows) * *size);
        return std::accumulate(from, to, 0.0);
      });
      sum = std::accumulate(parts.begin(), parts.end(), 0.0);
    } else {
      sum = std::accumulate(big_matrix.begin(), big_matrix.end(), 0.0);
    }
    took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  void end() { std::printf("The sum is %f.\nComputing it took %.0fms.\n", sum, took * 1000); }

  static auto graph() {
    return mf::graph(mf::step<&BigSum::start>(mf::resources{.cpu = 8, .memory = 60'000}, mf::next<&BigSum::end>),
                     mf::step<&BigSum::end>());
  }
};

int main(int argc, char** argv) { return mf::run<BigSum>(argc, argv); }
