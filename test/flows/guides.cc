// The code of docs/how-to and docs/coming-from: test/packaging/test_docs.py checks that each fragment there is in this
// file.
#include <metaflow/metaflow.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace mf = metaflow;

namespace {

/// A download that fails twice, then succeeds; a file that is gone stays gone.
std::string download(const std::string& name) {
  if (name == "gone") throw std::invalid_argument("no such file: gone");
  if (mf::current().retry_count < 1) throw std::runtime_error("the server is busy");
  return name;
}

double value_of(std::size_t i) { return static_cast<double>(i % 10); }

}  // namespace

struct Guides : mf::FlowSpec<Guides> {
  static constexpr auto doc = "The fragments of the guides.";

  mf::Parameter<std::filesystem::path> file{{.help = "The file to read."}};
  mf::Lazy<mf::Bytes> content;

  void start() {
    std::ifstream in(*file, std::ios::binary);
    if (!in) throw std::system_error(errno, std::generic_category(), "cannot open " + file->string());
    content = mf::Bytes(std::string(std::istreambuf_iterator<char>(in), {}));
  }

  mf::Parameter<std::string> source{{.value = "here", .help = "What to fetch."}};
  mf::Parameter<std::size_t> rows{{.value = 100, .help = "Rows of the array."}};
  std::string fetched;
  std::string missing;
  bool has_data = false;
  mf::Array<double> prices;
  std::vector<std::size_t> blocks;
  double sum = 0;
  std::map<std::string, double> totals;
  std::vector<double> values;

  void fetch() {
    try {
      fetched = download(*source);
      has_data = true;
    } catch (const std::invalid_argument& error) {  // will not pass
      missing = error.what();
    }
  }

  void skip() { std::printf("Skipped: %s\n", missing.c_str()); }

  void fill() {
    const std::size_t columns = 1000;
    prices = mf::Array<double>::on_disk({*rows, columns});
    auto cells = prices.edit();
    mf::parallel_map(mf::range(*rows), [&](std::size_t row) {
      for (std::size_t c = 0; c < columns; ++c) cells[row * columns + c] = value_of(c);
    });
    values = mf::parallel_map(mf::range(*rows), value_of);
    for (std::size_t row = 0; row < *rows; row += 25) blocks.push_back(row);
  }

  void add(std::size_t first) {
    for (std::size_t row = first; row < std::min(first + 25, *rows); ++row) {
      const auto cells = prices.row(row);  // maps the file; reads only these pages
      sum += std::accumulate(cells.begin(), cells.end(), 0.0);
    }
  }

  /// Not a step.
  void work(const std::string& name) {
    const std::string command = "./simulate --input " + name + ".in --output " + name + ".out";
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command + " failed");
  }

  void combine(const mf::Inputs<Guides>& inputs) {
    for (double s : inputs.each(&Guides::sum)) totals["all"] += s;
  }

  void end() { std::printf("%zu bytes, %.0f in all\n", content->size(), totals["all"]); }

  static auto graph() {
    using G = Guides;
    return mf::graph(mf::step<&G::start>(mf::local{}, mf::next<&G::fetch>),
                     mf::step<&G::fetch>(mf::retry{.times = 3, .minutes_between_retries = 0},
                                         mf::choose<&G::has_data, mf::when<true, &G::fill>, mf::when<false, &G::skip>>),
                     mf::step<&G::skip>(mf::next<&G::end>),
                     mf::step<&G::fill>(mf::resources{.cpu = 8, .memory = 4000}, mf::foreach<&G::blocks, &G::add>),
                     mf::step<&G::add>(mf::resources{.cpu = 2, .memory = 1'000}, mf::local{}, mf::next<&G::combine>),
                     mf::step<&G::combine>(mf::next<&G::end>), mf::step<&G::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Guides>(argc, argv); }
