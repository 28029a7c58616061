// Compares parallel_map with OpenMP, the parallel algorithms of the standard library (TBB) and a plain loop.
//
// Prints "CASE METHOD WALL CPU ITEMS" lines: the best wall time and the best processor time of all repetitions, in
// seconds. The methods take turns, so that other work on the machine affects all of them.
//
// usage: parallel_bench [REPETITIONS]             repetitions of the long cases; the short cases have more
#include <metaflow/metaflow.h>

#include <omp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <execution>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

namespace mf = metaflow;

namespace {

constexpr auto kProcesses = mf::parallel_mode::processes;

struct Times {
  double wall = 1e300;
  double cpu = 1e300;
};

double cpu_of(int who) {
  rusage used{};
  ::getrusage(who, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double cpu_now() { return cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN); }

struct Method {
  std::string name;
  std::function<double()> run;  // returns a number that depends on all results
  Times best{};
};

void compare(const char* what, std::size_t items, int repetitions, std::vector<Method> methods) {
  const double expected = methods[0].run();
  for (int i = 0; i < repetitions; ++i) {
    for (Method& method : methods) {
      const double cpu = cpu_now();
      const auto begin = std::chrono::steady_clock::now();
      const double result = method.run();
      const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
      method.best.wall = std::min(method.best.wall, wall.count());
      method.best.cpu = std::min(method.best.cpu, cpu_now() - cpu);
      if (result != expected) {
        std::fprintf(stderr, "parallel_bench: %s of %s is wrong\n", method.name.c_str(), what);
        std::exit(1);
      }
    }
  }
  for (const Method& method : methods) {
    std::printf("%s %s %.9f %.9f %zu\n", what, method.name.c_str(), method.best.wall, method.best.cpu, items);
  }
}

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

/// All methods that call f(0), f(1), ... and add up the results.
template <class F>
std::vector<Method> methods_for(std::size_t items, F f, bool with_processes = true) {
  std::vector<Method> methods;
  methods.push_back({"serial", [=] {
                       std::vector<double> results(items);
                       for (std::size_t i = 0; i < items; ++i) results[i] = f(i);
                       return sum(results);
                     }});
  methods.push_back({"threads1", [=] { return sum(mf::parallel_map(mf::range(items), f, {.max_parallel = 1})); }});
  methods.push_back({"threads", [=] { return sum(mf::parallel_map(mf::range(items), f)); }});
  if (with_processes) {
    methods.push_back({"processes", [=] { return sum(mf::parallel_map(mf::range(items), f, {.mode = kProcesses})); }});
  }
  methods.push_back({"openmp", [=] {
                       std::vector<double> results(items);
#pragma omp parallel for schedule(dynamic)
                       for (std::size_t i = 0; i < items; ++i) results[i] = f(i);
                       return sum(results);
                     }});
  methods.push_back({"tbb", [=] {
                       std::vector<double> results(items);
                       std::vector<std::size_t> numbers(items);
                       std::iota(numbers.begin(), numbers.end(), std::size_t{0});
                       std::transform(std::execution::par, numbers.begin(), numbers.end(), results.begin(), f);
                       return sum(results);
                     }});
  return methods;
}

/// About two milliseconds of arithmetic.
double work(std::size_t item) {
  std::uint64_t state = item + 1;
  double total = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    total += static_cast<double>(state >> 40);
  }
  return total;
}

double tiny(std::size_t item) { return static_cast<double>(item & 1023U); }

}  // namespace

int main(int argc, char** argv) {
  const int repetitions = argc > 1 ? std::atoi(argv[1]) : 7;
  compare("busy", 100, 3 * repetitions, methods_for(100, work));

  constexpr std::size_t kRows = 6000;
  const std::vector<double> matrix(kRows * kRows, 0.5);
  compare("matrix", 8, 5 * repetitions, methods_for(8, [&](std::size_t block) {
            const auto begin = matrix.begin() + static_cast<std::ptrdiff_t>(block * kRows / 8 * kRows);
            return std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(kRows / 8 * kRows), 0.0);
          }));

  compare("tiny", 1'000'000, repetitions, methods_for(1'000'000, tiny, false));
  compare("tiny_processes", 20'000, repetitions, methods_for(20'000, tiny));
}
