// Measures the encoding of values into a payload and their decoding, compared with JSON, and with memcpy if possible.
// The column "item" is the time per item.
//
// usage: values_bench [--benchmark_filter=decode/...] [--benchmark_repetitions=5]
#include <metaflow/metaflow.h>

#include <benchmark/benchmark.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/text.h"
#include "value/unpickler.h"

namespace {

using metaflow::base::SharedBytes;

struct Trade {
  int id = 0;
  double price = 0;
  std::string symbol;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Trade, id, price, symbol)

constexpr std::size_t kMany = 2'000'000;
constexpr std::size_t kSome = 500'000;

std::string word(std::size_t i) { return "symbol-" + std::to_string(i); }

// Deterministic, with all sizes, like real data.
std::uint64_t scrambled(std::size_t i) { return i * 0x9E3779B97F4A7C15ULL; }

template <class T>
T sample();

template <>
std::vector<double> sample() {
  std::vector<double> values(kMany);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(scrambled(i)) * 0x1p-64;
  return values;
}
template <>
std::vector<int> sample() {
  std::vector<int> values(kMany);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint64_t bits = scrambled(i);
    values[i] = static_cast<int>(bits >> 40) >> (bits & 15U);  // one to three bytes
  }
  return values;
}
template <>
std::vector<std::string> sample() {
  std::vector<std::string> values(kSome);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = word(i);
  return values;
}
template <>
std::map<std::string, double> sample() {
  std::map<std::string, double> values;
  for (std::size_t i = 0; i < kSome; ++i) values.emplace(word(i), static_cast<double>(i) / 7);
  return values;
}
template <>
std::vector<Trade> sample() {
  std::vector<Trade> values(kSome);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = {static_cast<int>(i), static_cast<double>(i) / 7, word(i % 500)};
  }
  return values;
}

void count(benchmark::State& state, std::size_t items) {
  using benchmark::Counter;
  state.counters["item"] = Counter(static_cast<double>(items), Counter::kIsIterationInvariantRate | Counter::kInvert);
}

template <class T>
void encode(benchmark::State& state) {
  const T values = sample<T>();
  for (auto _ : state) {
    metaflow::detail::Pickler pickler{metaflow::detail::ValuesOutlive{}};
    metaflow::detail::encode(pickler, values);
    pickler.finish();
    benchmark::DoNotOptimize(pickler.parts());
  }
  count(state, values.size());
}

template <class T>
void decode(benchmark::State& state) {
  std::string payload;
  std::size_t size = 0;
  {
    const T values = sample<T>();
    size = values.size();
    metaflow::detail::Pickler pickler{metaflow::detail::ValuesOutlive{}};
    metaflow::detail::encode(pickler, values);
    pickler.finish();
    for (const auto& part : pickler.parts()) payload += metaflow::base::as_text(part);
  }
  const SharedBytes shared(std::move(payload));
  for (auto _ : state) {
    const T values = metaflow::value::read_pickle(shared).as<T>();
    if (values.size() != size) state.SkipWithError("it is not what it was");
    benchmark::DoNotOptimize(&values);
  }
  count(state, size);
}

template <class T>
void json_encode(benchmark::State& state) {
  const T values = sample<T>();
  for (auto _ : state) {
    const std::string text = nlohmann::json(values).dump();
    benchmark::DoNotOptimize(text.data());
  }
  count(state, values.size());
}

template <class T>
void json_decode(benchmark::State& state) {
  const std::string text = nlohmann::json(sample<T>()).dump();
  std::size_t size = 0;
  for (auto _ : state) {
    const T values = nlohmann::json::parse(text).get<T>();
    size = values.size();
    benchmark::DoNotOptimize(&values);
  }
  count(state, size);
}

/// Copies the bytes into new memory.
void copy(benchmark::State& state) {
  const auto values = sample<std::vector<double>>();
  for (auto _ : state) {
    const std::vector<double> copied(values);
    benchmark::DoNotOptimize(copied.data());
    benchmark::ClobberMemory();
  }
  count(state, values.size());
}

#define VALUES_BENCH(name, ...)                                                                 \
  BENCHMARK_TEMPLATE(encode, __VA_ARGS__)->Name("encode/" name)->Unit(benchmark::kMillisecond); \
  BENCHMARK_TEMPLATE(decode, __VA_ARGS__)->Name("decode/" name)->Unit(benchmark::kMillisecond); \
  BENCHMARK_TEMPLATE(json_encode, __VA_ARGS__)                                                  \
      ->Name("json_encode/" name)                                                               \
      ->Unit(benchmark::kMillisecond)                                                           \
      ->Iterations(1);                                                                          \
  BENCHMARK_TEMPLATE(json_decode, __VA_ARGS__)->Name("json_decode/" name)->Unit(benchmark::kMillisecond)->Iterations(1)

VALUES_BENCH("vector<double>", std::vector<double>);
VALUES_BENCH("vector<int>", std::vector<int>);
VALUES_BENCH("vector<string>", std::vector<std::string>);
VALUES_BENCH("map<string,double>", std::map<std::string, double>);
VALUES_BENCH("vector<struct>", std::vector<Trade>);
BENCHMARK(copy)->Name("memcpy_encode/vector<double>")->Unit(benchmark::kMillisecond);
BENCHMARK(copy)->Name("memcpy_decode/vector<double>")->Unit(benchmark::kMillisecond);

}  // namespace
