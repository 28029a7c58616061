#include <metaflow/metaflow.h>

#include <cmath>
#include <cstdio>
#include <numeric>

namespace mf = metaflow;

struct Waves : mf::FlowSpec<Waves> {
  static constexpr auto doc = "Computes a field of waves on all cores, and its mean height.";

  mf::Parameter<std::size_t> size{{.value = 1000, .help = "Rows and columns of the field."}};
  mf::Array<double> field;  // numbers in a file that steps map into memory
  double height = 0;

  void start() {
    field = mf::Array<double>::zeros({*size, *size});
    auto cells = field.edit();                                 // std::span<double>: for writing
    mf::parallel_map(mf::range(*size), [&](std::size_t row) {  // calls for different rows run on different cores
      for (std::size_t column = 0; column < *size; ++column) {
        const double distance = std::hypot(static_cast<double>(row), static_cast<double>(column));
        cells[row * *size + column] = 1 + std::sin(distance / 10);
      }
    });
  }

  void pass() {}  // does not use the field, so it does not read it

  void measure() {
    const auto sums = mf::parallel_map(mf::range(*size), [&](std::size_t row) {
      const auto cells = field.row(row);  // std::span<const double>: reading
      return std::accumulate(cells.begin(), cells.end(), 0.0);
    });
    height = std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(field.size());
  }

  void end() { std::printf("The mean height of %zu cells is %.3f.\n", field.size(), height); }

  static auto graph() {
    return mf::graph(mf::step<&Waves::start>(mf::resources{.cpu = 8}, mf::next<&Waves::pass>),
                     mf::step<&Waves::pass>(mf::next<&Waves::measure>),
                     mf::step<&Waves::measure>(mf::resources{.cpu = 8}, mf::next<&Waves::end>),
                     mf::step<&Waves::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Waves>(argc, argv); }
