// One artifact of every type that can be stored. `end` compares what it was given with what `start` stored.
#include <metaflow/metaflow.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <complex>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

namespace mf = metaflow;

namespace {

enum class Colour : std::uint8_t { red, green = 7 };
enum Plain { kMinusTwo = -2 };

struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Shape {
  std::string title;
  std::vector<Point> corners;
  std::map<std::string, std::optional<Point>> marks;
  Colour colour = Colour::red;
  bool operator==(const Shape&) const = default;
};

struct Numbers {
  bool yes = true;
  bool no = false;
  char letter = 'A';
  std::int8_t int8_min = std::numeric_limits<std::int8_t>::min();
  std::uint8_t uint8_max = std::numeric_limits<std::uint8_t>::max();
  std::int16_t int16_min = std::numeric_limits<std::int16_t>::min();
  std::uint16_t uint16_max = std::numeric_limits<std::uint16_t>::max();
  std::int32_t int32_min = std::numeric_limits<std::int32_t>::min();
  std::int32_t int32_max = std::numeric_limits<std::int32_t>::max();
  std::uint32_t uint32_max = std::numeric_limits<std::uint32_t>::max();
  std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();
  std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
  std::uint64_t uint64_max = std::numeric_limits<std::uint64_t>::max();
  std::int64_t minus_one = -1;
  float single = 0.1F;
  double real = 0.1;
  double largest = std::numeric_limits<double>::max();
  double smallest = std::numeric_limits<double>::denorm_min();
  double minus_zero = -0.0;
  double infinite = -std::numeric_limits<double>::infinity();
  std::complex<double> complex{1.5, -2.5};
  std::complex<float> single_complex{0.5F, 0.25F};
  Colour colour = Colour::green;
  Plain plain = kMinusTwo;
  bool operator==(const Numbers&) const = default;
};

/// Arrays of the other elements, and inside of something.
struct Arrays {
  mf::Array<std::int8_t> int8;
  mf::Array<std::int16_t> int16;
  mf::Array<std::uint16_t> uint16;
  mf::Array<std::uint32_t> uint32;
  mf::Array<std::uint64_t> uint64;
  mf::Array<std::complex<float>> complex;
  std::vector<mf::Array<double>> ragged;
};

struct Money {
  Money() = default;
  explicit Money(std::int64_t all) : cents(all) {}
  std::int64_t cents = 0;
  bool operator==(const Money&) const = default;
};

}  // namespace

template <>
struct metaflow::Codec<Money> {
  using Stored = std::pair<std::int64_t, std::string>;
  static Stored save(const Money& money) { return {money.cents, "cents"}; }
  static Money load(const Stored& stored) { return Money(stored.first); }
};

namespace {

using std::chrono::microseconds;
using TimePoint = std::chrono::system_clock::time_point;

struct Types : mf::FlowSpec<Types> {
  static constexpr auto doc = "Stores one value of every type.";

  bool flag = false;
  int number = 0;
  std::uint64_t large_number = 0;
  float single = 0;
  double real = 0;
  double not_a_number = 0;
  Numbers numbers{};
  std::string text;
  std::string empty_text;
  std::string long_text;
  std::string text_with_zero;
  std::filesystem::path path;
  mf::Bytes bytes;
  std::vector<std::byte> raw_bytes;
  std::vector<int> integers;
  std::vector<double> reals;
  std::vector<std::string> texts;
  std::vector<bool> flags;
  std::vector<std::vector<int>> rows;
  std::array<double, 3> fixed{};
  std::deque<std::string> queue;
  std::list<float> linked;
  std::vector<int> empty_list;
  std::map<std::string, double> by_name;
  std::map<int, std::vector<int>> by_number;
  std::map<std::pair<int, bool>, std::string> by_pair;
  std::unordered_map<std::string, int> unordered_names;
  std::set<int> distinct;
  std::unordered_set<std::string> distinct_texts;
  std::set<int> empty_set;
  std::map<std::string, int> empty_dict;
  std::pair<int, std::string> pair;
  std::tuple<int, double, std::string, bool> tuple{};
  std::optional<int> nothing;
  std::optional<std::string> something;
  std::variant<std::monostate, int, std::string> held_int;
  std::variant<int, std::string, std::vector<double>> held_list;
  Colour colour = Colour::red;
  TimePoint moment;
  TimePoint before_1970;
  std::chrono::seconds duration{};
  std::chrono::duration<double> fraction{};
  microseconds negative{};
  Point point;
  Shape shape;
  Money money;
  mf::Array<double> grid;
  mf::Array<float> line;
  mf::Array<std::int32_t> cube;
  mf::Array<std::uint8_t> image;
  mf::Array<bool> mask;
  Arrays arrays;
  mf::Array<std::complex<double>> spectrum;
  mf::Array<std::int64_t> no_elements;
  mf::Lazy<std::vector<std::string>> lazy;
  mf::Transient<std::string> not_stored;
  const std::vector<int> constant{1, 2, 3};
  mf::Parameter<int> parameter{{.value = 5}};

  void start() {
    fill(*this);
    *not_stored = "of this process alone";
  }

  void end() {
    Types expected;
    fill(expected);
    expect("flag", flag == expected.flag && number == expected.number && large_number == expected.large_number);
    expect("reals", single == expected.single && real == expected.real && std::isnan(not_a_number));
    expect("numbers", numbers == expected.numbers && std::signbit(numbers.minus_zero));
    expect("texts", text == expected.text && empty_text.empty() && long_text == expected.long_text &&
                        text_with_zero == expected.text_with_zero && path == expected.path);
    expect("bytes", bytes == expected.bytes && raw_bytes == expected.raw_bytes);
    expect("lists", integers == expected.integers && reals == expected.reals && texts == expected.texts &&
                        flags == expected.flags && rows == expected.rows && fixed == expected.fixed &&
                        queue == expected.queue && linked == expected.linked && empty_list.empty());
    expect("dicts", by_name == expected.by_name && by_number == expected.by_number && by_pair == expected.by_pair &&
                        unordered_names == expected.unordered_names && empty_dict.empty());
    expect("sets", distinct == expected.distinct && distinct_texts == expected.distinct_texts && empty_set.empty());
    expect("tuples", pair == expected.pair && tuple == expected.tuple);
    expect("choices", nothing == expected.nothing && something == expected.something && held_int == expected.held_int &&
                          held_list == expected.held_list && colour == expected.colour);
    expect("times", moment == expected.moment && before_1970 == expected.before_1970 && duration == expected.duration &&
                        fraction == expected.fraction && negative == expected.negative);
    expect("structs", point == expected.point && shape == expected.shape && money == expected.money);
    expect("arrays", same(grid, expected.grid) && same(line, expected.line) && same(cube, expected.cube) &&
                         same(image, expected.image) && same(mask, expected.mask) &&
                         same(spectrum, expected.spectrum) && no_elements.empty());
    expect("arrays in a struct",
           same(arrays.int8, expected.arrays.int8) && same(arrays.int16, expected.arrays.int16) &&
               same(arrays.uint16, expected.arrays.uint16) && same(arrays.uint32, expected.arrays.uint32) &&
               same(arrays.uint64, expected.arrays.uint64) && same(arrays.complex, expected.arrays.complex) &&
               same(arrays.ragged.at(0), expected.arrays.ragged[0]) &&
               same(arrays.ragged.at(1), expected.arrays.ragged[1]));
    expect("lazy", *lazy == *expected.lazy);
    expect("transient", not_stored->empty());
  }

  static void fill(Types& t) {
    t.flag = true;
    t.number = -42;
    t.large_number = 18'446'744'073'709'551'615ULL;
    t.single = 1.25F;
    t.real = 1e-300;
    t.not_a_number = std::numeric_limits<double>::quiet_NaN();
    t.text = "plain, 'quoted', \"twice\", \\ and 日本語 🎉\n";
    t.long_text = std::string(70'000, 'x');
    t.text_with_zero = std::string("a\0b", 3);
    t.path = "/data/raw.bin";
    for (int i = 0; i < 256; ++i) t.bytes += static_cast<char>(i);
    t.raw_bytes = {std::byte{0}, std::byte{255}};
    t.integers = {1, -1, 2'147'483'647};
    t.reals = {0.5, -1e300};
    t.texts = {"a", "", "ü"};
    t.flags = {true, false, true};
    t.rows = {{1, 2}, {}, {3}};
    t.fixed = {1, 2, 3};
    t.queue = {"first", "second"};
    t.linked = {0.5F, 0.25F};
    t.by_name = {{"pi", 3.14159}, {"", 0}};
    t.by_number = {{-1, {1}}, {7, {}}};
    t.by_pair = {{{1, true}, "one"}, {{2, false}, "two"}};
    t.unordered_names = {{"a", 1}, {"b", 2}};
    t.distinct = {3, 1, 2};
    t.distinct_texts = {"x", "y"};
    t.pair = {1, "one"};
    t.tuple = {1, 2.5, "three", true};
    t.something = "here";
    t.held_int = 17;
    t.held_list = std::vector<double>{1, 2};
    t.colour = Colour::green;
    t.moment = TimePoint(microseconds(1'700'000'000'123'456));
    t.before_1970 = TimePoint(microseconds(-1));
    t.duration = std::chrono::hours(36);
    t.fraction = std::chrono::duration<double>(0.25);
    t.negative = microseconds(-1);
    t.point = {1, -1};
    t.shape = {"triangle", {{0, 0}, {1, 0}, {0, 1}}, {{"centre", Point{0.25, 0.25}}, {"none", {}}}, Colour::green};
    t.money = Money(1999);
    t.grid = mf::Array<double>({1, 2, 3, 4, 5, 6}).reshaped({2, 3});
    t.line = {0.5F, 1.5F};
    t.cube = mf::Array<std::int32_t>::zeros({2, 2, 2});
    t.cube.edit()[7] = -7;
    t.image = {0, 255};
    t.mask = {true, false};
    t.arrays.int8 = {-128, 127};
    t.arrays.int16 = {-32768, 32767};
    t.arrays.uint16 = {0, 65535};
    t.arrays.uint32 = {0, 4'294'967'295U};
    t.arrays.uint64 = {0, 18'446'744'073'709'551'615ULL};
    t.arrays.complex = {{0.5F, -1.0F}};
    t.arrays.ragged = {{1.0, 2.0}, {3.0}};
    t.spectrum = {{1, 2}, {3, -4}};
    t.lazy.edit() = {"late", "later"};
  }

  template <class A>
  static bool same(const A& a, const A& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end()) &&
           std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end());
  }

  static void expect(const char* what, bool holds) {
    if (!holds) throw std::logic_error(std::string("not read as it was stored: ") + what);
  }

  static auto graph() { return mf::graph(mf::step<&Types::start>(mf::next<&Types::end>), mf::step<&Types::end>()); }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Types>(argc, argv); }
