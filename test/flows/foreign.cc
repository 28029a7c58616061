// What a Python flow of the same name stored (test/e2e/python/foreign_flow.py): `start` reads it with the client, `end`
// as the artifacts of the step before it.
#include <metaflow/metaflow.h>

#include <chrono>
#include <cmath>
#include <complex>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <metaflow/client.h>

namespace mf = metaflow;

namespace {

using std::chrono::microseconds;
using TimePoint = std::chrono::system_clock::time_point;

struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Foreign : mf::FlowSpec<Foreign> {
  mf::Parameter<std::string> run{{.value = "", .help = "The run of the Python flow."}};

  bool flag = false;
  std::optional<int> nothing = 1;
  int number = 0;
  std::int64_t large_number = 0;
  std::uint64_t unsigned_number = 0;
  double real = 0;
  double not_a_number = 0;
  double whole = 0;
  std::complex<double> complex;
  std::string text;
  mf::Bytes bytes;
  std::vector<std::byte> byte_array;
  std::vector<std::int64_t> integers;
  std::vector<int> many;
  std::vector<double> reals;
  std::vector<double> mixed;
  std::vector<std::string> texts;
  std::vector<bool> flags;
  std::vector<std::vector<int>> rows;
  std::map<std::string, std::vector<int>> table;
  std::map<int, std::map<std::string, std::optional<double>>> by_number;
  std::map<std::pair<int, std::string>, double> by_pair;
  std::set<int> distinct;
  std::set<std::string> frozen;
  std::tuple<int, std::string, double> triple;
  std::map<std::string, int> ordered;
  std::map<std::string, int> counts;
  std::map<std::string, std::vector<int>> defaults;
  TimePoint moment;
  TimePoint naive;
  TimePoint day;
  microseconds length{};
  std::filesystem::path path;
  Point point;
  std::vector<std::vector<double>> shared;
  mf::Array<double> grid;
  mf::Array<double> column_major;
  mf::Array<std::int32_t> turned;
  mf::Array<double> strided;
  mf::Array<float> big_endian;
  mf::Array<bool> mask;
  mf::Array<std::uint8_t> image;
  mf::Array<std::complex<float>> spectrum;
  std::vector<double> half;
  mf::Array<double> no_elements;
  std::vector<int> array_as_list;
  std::vector<std::vector<double>> array_as_rows;
  mf::Array<double> list_as_array;
  std::vector<std::string> array_of_texts;
  int single_element = 0;
  double np_real = 0;
  float np_single = 0;
  int np_integer = 0;
  std::uint8_t np_byte = 0;
  bool np_flag = false;
  std::string np_text;
  std::complex<double> np_complex;
  std::vector<double> np_in_list;
  mf::Lazy<std::vector<std::string>> lazy;

  void start() {
    const auto task = mf::client::Client({.name_space = ""}).step("Foreign/" + *run + "/start").task();
    auto read = [&]<class T>(T& member, const char* name) { member = task.artifact(name).as<T>(); };
    read(flag, "flag");
    read(nothing, "nothing");
    read(number, "number");
    read(large_number, "large_number");
    read(unsigned_number, "unsigned_number");
    read(real, "real");
    read(not_a_number, "not_a_number");
    read(whole, "whole");
    read(complex, "complex");
    read(text, "text");
    read(bytes, "bytes");
    read(byte_array, "byte_array");
    read(integers, "integers");
    read(many, "many");
    read(reals, "reals");
    read(mixed, "mixed");
    read(texts, "texts");
    read(flags, "flags");
    read(rows, "rows");
    read(table, "table");
    read(by_number, "by_number");
    read(by_pair, "by_pair");
    read(distinct, "distinct");
    read(frozen, "frozen");
    read(triple, "triple");
    read(ordered, "ordered");
    read(counts, "counts");
    read(defaults, "defaults");
    read(moment, "moment");
    read(naive, "naive");
    read(day, "day");
    read(length, "length");
    read(path, "path");
    read(point, "point");
    read(shared, "shared");
    read(grid, "grid");
    read(column_major, "column_major");
    read(turned, "turned");
    read(strided, "strided");
    read(big_endian, "big_endian");
    read(mask, "mask");
    read(image, "image");
    read(spectrum, "spectrum");
    read(half, "half");
    read(no_elements, "no_elements");
    read(array_as_list, "array_as_list");
    read(array_as_rows, "array_as_rows");
    read(list_as_array, "list_as_array");
    read(array_of_texts, "array_of_texts");
    read(single_element, "single_element");
    read(np_real, "np_real");
    read(np_single, "np_single");
    read(np_integer, "np_integer");
    read(np_byte, "np_byte");
    read(np_flag, "np_flag");
    read(np_text, "np_text");
    read(np_complex, "np_complex");
    read(np_in_list, "np_in_list");
    read(lazy.edit(), "lazy");
  }

  void end() {
    using Strings = std::vector<std::string>;
    const TimePoint noon(microseconds(1'700'000'000'123'456));
    const std::vector<double> counted{0, 1, 2, 3, 4, 5};
    expect("flag", flag && !nothing);
    expect("integers", number == -42 && large_number == INT64_MAX && unsigned_number == UINT64_MAX);
    expect("reals", real == 0.1 && std::isnan(not_a_number) && whole == 3 && complex == std::complex(1.0, -2.0));
    expect("text", text == std::string("日本語 🎉\0\n", 16));
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    expect("bytes", bytes == all && byte_array == std::vector{std::byte{255}, std::byte{0}});
    expect("lists of numbers", integers == std::vector<std::int64_t>{1, -1, std::int64_t{1} << 40} &&
                                   reals == std::vector{0.5, -1e300} && mixed == std::vector{1, 2.5});
    expect("a long list", many.size() == 3000 && many[2999] == 2999);
    expect("lists", texts == Strings{"a", "", "ü"} && flags == std::vector{true, false} &&
                        rows == std::vector<std::vector<int>>{{1, 2}, {}, {3}});
    expect("dicts", table == decltype(table){{"a", {1, 2}}, {"b", {}}} &&
                        by_number == decltype(by_number){{1, {{"x", {}}, {"y", 0.5}}}} &&
                        by_pair == decltype(by_pair){{{1, "a"}, 2.0}});
    expect("classes of dicts", ordered == decltype(ordered){{"a", 1}, {"b", 2}} &&
                                   counts == decltype(counts){{"a", 2}, {"b", 1}} &&
                                   defaults == decltype(defaults){{"x", {1}}});
    expect("sets", distinct == std::set{1, 2, 3} && frozen == std::set<std::string>{"x", "y"});
    expect("tuples", triple == std::tuple(1, std::string("two"), 3.0));
    expect("times", moment == noon && naive == noon && day == TimePoint(-std::chrono::hours(24)) &&
                        length == microseconds(1) - std::chrono::hours(24));
    expect("structs", path == "/data/raw.bin" && point == Point{1, -1});
    expect("shared", shared == std::vector<std::vector<double>>{{0.5, 1.5}, {0.5, 1.5}});
    expect("grid", holds(grid, {2, 3}, counted) && holds(column_major, {2, 3}, counted));
    expect("turned", turned.shape().size() == 3 && turned.shape()[0] == 4 && turned.shape()[1] == 2 &&
                         turned.shape()[2] == 3 && turned[5] == 20 && turned[6] == 1);
    expect("strided", holds(strided, {2, 2}, {2, 0, 5, 3}));
    expect("big_endian", holds(big_endian, {2, 3}, {0, 1, 2, 3, 4, 5}));
    expect("small elements", holds(mask, {2}, {true, false}) && holds(image, {2}, {0, 255}) &&
                                 holds(spectrum, {2}, {{1, 2}, {3, -4}}) && half == std::vector{0.5, -2.0});
    expect("no_elements", holds(no_elements, {0, 3}, {}));
    expect("arrays as lists", array_as_list == std::vector{1, 2, 3} &&
                                  array_as_rows == std::vector<std::vector<double>>{{0, 1, 2}, {3, 4, 5}} &&
                                  array_of_texts == Strings{"a", "日本", ""} && single_element == 5);
    expect("lists as arrays", holds(list_as_array, {2, 2}, {1, 2, 3, 4}));
    expect("scalars of numpy", np_real == 0.1 && np_single == 0.5F && np_integer == -7 && np_byte == 255 && np_flag &&
                                   np_text == "text" && np_complex == complex && np_in_list == shared[0]);
    expect("lazy", *lazy == Strings{"late", "later"});
  }

  template <class T>
  static bool holds(const mf::Array<T>& array, const std::vector<std::size_t>& shape, const std::vector<T>& elements) {
    return std::equal(array.shape().begin(), array.shape().end(), shape.begin(), shape.end()) &&
           std::equal(array.begin(), array.end(), elements.begin(), elements.end());
  }

  static void expect(const char* what, bool holds) {
    if (!holds) throw std::logic_error(std::string("not read as it was stored: ") + what);
  }

  static auto graph() {
    return mf::graph(mf::step<&Foreign::start>(mf::next<&Foreign::end>), mf::step<&Foreign::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Foreign>(argc, argv); }
