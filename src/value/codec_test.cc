// Round trips of every type that <metaflow/codec.h> lists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <complex>
#include <deque>
#include <filesystem>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <variant>

#include <metaflow/array.h>
#include <metaflow/artifact.h>
#include <metaflow/codec.h>

#include "value/testing.h"

namespace {

enum class Color : std::uint8_t { red, green = 200 };
enum Direction { kUp = -1, kDown = 1 };

struct Point {
  int x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Everything {
  std::string name;
  std::optional<int> maybe;
  std::map<std::string, std::vector<Point>> groups;
  std::tuple<int, std::string> pair;
  bool operator==(const Everything&) const = default;
};

struct Nothing {
  bool operator==(const Nothing&) const = default;
};

struct Money {
  explicit Money(std::int64_t cents = 0) : cents(cents) {}
  std::int64_t cents;
  bool operator==(const Money&) const = default;
};

struct Letter {
  std::string text;
  explicit Letter(std::string text = {}) : text(std::move(text)) {}
  bool operator==(const Letter&) const = default;
};

enum class Mood { calm, wild };

/// A container that creates its items during iteration.
template <class Container>
struct Made : Container {
  using Container::Container;
  struct iterator {
    typename Container::const_iterator at;
    typename Container::value_type operator*() const { return *at; }
    iterator& operator++() { return ++at, *this; }
    bool operator!=(const iterator& other) const { return at != other.at; }
    operator typename Container::const_iterator() const { return at; }
  };
  iterator begin() const { return {Container::begin()}; }
  iterator end() const { return {Container::end()}; }
};

/// The payload of a value that outlives it, assembled after everything was written.
template <class T>
std::string stored(const T& value) {
  metaflow::detail::Pickler pickler{metaflow::detail::ValuesOutlive{}};
  metaflow::detail::encode(pickler, value);
  pickler.finish();
  return metaflow::value::flat(pickler);
}

class Hidden {
 public:
  Hidden() = default;
  Hidden(int a, std::string b) : a_(a), b_(std::move(b)) {}
  static auto artifacts() { return metaflow::members<&Hidden::a_, &Hidden::b_>; }
  bool operator==(const Hidden&) const = default;

 private:
  int a_ = 0;
  std::string b_;
};

}  // namespace

template <>
struct metaflow::Codec<Money> {
  using Stored = std::int64_t;
  static Stored save(const Money& money) { return money.cents; }
  static Money load(Stored cents) { return Money{cents}; }
};

template <>
struct metaflow::Codec<Letter> {
  using Stored = std::string;
  static Stored save(const Letter& letter) { return letter.text; }
  static Letter load(Stored text) { return Letter(std::move(text)); }
};

template <>
struct metaflow::Codec<Mood> {
  using Stored = std::string;
  static Stored save(Mood mood) { return mood == Mood::calm ? "calm" : "wild"; }
  static Mood load(const Stored& word) { return word == "calm" ? Mood::calm : Mood::wild; }
};

namespace metaflow::value {
namespace {

using namespace std::string_literals;

template <class T>
void expect_round_trips(std::initializer_list<T> values) {
  for (const T& value : values) EXPECT_EQ(round_trip<T>(value), value);
}

template <class T>
class CodecOfIntegers : public testing::Test {};
using IntegerTypes = testing::Types<char, signed char, unsigned char, short, unsigned short, int, unsigned, long,
                                    unsigned long, long long, unsigned long long, wchar_t, char32_t>;
TYPED_TEST_SUITE(CodecOfIntegers, IntegerTypes);

TYPED_TEST(CodecOfIntegers, EdgesOfEveryOpcode) {
  using Limits = std::numeric_limits<TypeParam>;
  std::vector<TypeParam> all{0, 1, Limits::min(), Limits::max()};
  for (std::int64_t edge : {std::int64_t{-1}, std::int64_t{0xFF}, std::int64_t{0x100}, std::int64_t{0xFFFF},
                            std::int64_t{0x10000}, std::int64_t{INT32_MAX}, std::int64_t{INT32_MIN},
                            std::int64_t{INT32_MAX} + 1, std::int64_t{INT32_MIN} - 1, INT64_MAX, INT64_MIN}) {
    all.push_back(static_cast<TypeParam>(edge));
  }
  for (TypeParam value : all) EXPECT_EQ(round_trip(value), value);
  EXPECT_EQ(round_trip(all), all);
}

TEST(Codec, Booleans) { expect_round_trips<bool>({true, false}); }

TEST(Codec, Reals) {
  using Limits = std::numeric_limits<double>;
  expect_round_trips<double>({0.0, 1.5, -0.1, Limits::min(), Limits::denorm_min(), Limits::max(), Limits::lowest(),
                              Limits::infinity(), -Limits::infinity()});
  EXPECT_TRUE(std::signbit(round_trip(-0.0)));
  EXPECT_TRUE(std::isnan(round_trip(Limits::quiet_NaN())));
  using Float = std::numeric_limits<float>;
  expect_round_trips<float>({0.1F, Float::max(), Float::lowest(), Float::denorm_min(), Float::infinity()});
  EXPECT_TRUE(std::isnan(round_trip(Float::quiet_NaN())));
  expect_round_trips<std::complex<double>>({{1, -2}, {0, Limits::infinity()}, {-0.0, 0}});
  expect_round_trips<std::complex<float>>({{0.1F, -2}});
}

TEST(Codec, Enums) {
  expect_round_trips<Color>({Color::red, Color::green, static_cast<Color>(255)});
  expect_round_trips<Direction>({kUp, kDown});
  EXPECT_EQ(read(pickled(Color::green)).as<int>(), 200);
}

TEST(Codec, Texts) {
  for (std::size_t size : {0U, 1U, 255U, 256U, 16383U, 16384U, 16385U, 70000U}) {
    const std::string text(size, 'x');
    EXPECT_EQ(round_trip(text), text) << size;
    const Bytes bytes(std::string(size, '\xff'));
    EXPECT_EQ(round_trip(bytes), bytes) << size;
    const std::vector<std::byte> raw(size, std::byte{7});
    EXPECT_EQ(round_trip(raw), raw) << size;
  }
  expect_round_trips<std::string>({"h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80", "nul\0nul"s});
  expect_round_trips<std::filesystem::path>({"", "/a/b c/\xc3\xa9", "relative"});
}

TEST(Codec, InvalidUtf8IsRejected) {
  const Error error = error_of([] { pickled(std::string("ab\xff")); });
  EXPECT_EQ(error.code(), ErrorCode::invalid_value);
  EXPECT_EQ(error.message(), "This text is not UTF-8: byte 2 of 3 is 0xff");
  EXPECT_THAT(error.hint(), testing::HasSubstr("mf::Bytes"));
}

TEST(Codec, SequencesOfAllSizes) {
  for (std::size_t size : {0U, 1U, 999U, 1000U, 1001U, 2000U, 2500U}) {
    std::vector<double> reals(size);
    std::vector<int> integers(size);
    std::vector<std::string> texts(size);
    std::vector<bool> bits(size);
    std::set<int> set;
    std::map<int, std::string> map;
    for (std::size_t i = 0; i < size; ++i) {
      reals[i] = static_cast<double>(i) / 3;
      integers[i] = static_cast<int>(i * i) - 500;
      texts[i] = std::to_string(i);
      bits[i] = i % 3 == 0;
      set.insert(integers[i]);
      map[integers[i]] = texts[i];
    }
    EXPECT_EQ(round_trip(reals), reals) << size;
    EXPECT_EQ(round_trip(integers), integers) << size;
    EXPECT_EQ(round_trip(texts), texts) << size;
    EXPECT_EQ(round_trip(bits), bits) << size;
    EXPECT_EQ(round_trip(set), set) << size;
    EXPECT_EQ(round_trip(map), map) << size;
  }
}

TEST(Codec, EveryKindOfSequence) {
  expect_round_trips<std::array<int, 3>>({{1, -2, 3}});
  expect_round_trips<std::array<std::string, 2>>({{"a", "b"}});
  EXPECT_EQ((round_trip(std::array<int, 0>{})), (std::array<int, 0>{}));
  expect_round_trips<std::deque<float>>({{}, {1, 2.5F}});
  expect_round_trips<std::list<std::string>>({{}, {"a", ""}});
  expect_round_trips<std::vector<std::vector<bool>>>({{{true}, {}, {false, true}}});
  expect_round_trips<std::vector<char>>({{'a', '\0', '\x7f'}});
  expect_round_trips<std::vector<Color>>({{Color::green, Color::red}});
  expect_round_trips<std::vector<std::vector<std::vector<int>>>>({{{{1}, {}}, {}, {{2, 3}}}});
  // Numbers of one kind are packed while they are read; mixed ones are not.
  expect_round_trips<std::vector<std::int64_t>>({{1, INT64_MAX, 2}, {INT64_MIN}});
  expect_round_trips<std::vector<std::uint64_t>>({{1, UINT64_MAX, 2}, {UINT64_MAX}});
}

TEST(Codec, EveryKindOfMapAndSet) {
  expect_round_trips<std::map<std::string, double>>({{}, {{"a", 1}, {"", -2.5}}});
  expect_round_trips<std::unordered_map<int, std::vector<int>>>({{}, {{1, {2, 3}}, {-4, {}}}});
  expect_round_trips<std::set<std::string>>({{}, {"a", "b"}});
  expect_round_trips<std::unordered_set<double>>({{}, {1.5, -2}});
  expect_round_trips<std::map<std::pair<int, std::string>, int>>({{{{1, "a"}, 2}}});
}

TEST(Codec, ItemsCreatedDuringIterationAreCopied) {
  const std::string a(20'000, 'a');
  const std::string b(20'000, 'b');
  const Made<std::deque<std::string>> list{a, b, a};
  EXPECT_EQ(stored(list), stored(std::deque<std::string>{a, b, a}));
  const Made<std::set<std::string>> set{a, b};
  EXPECT_EQ(stored(set), stored(std::set<std::string>{a, b}));
  const Made<std::map<std::string, std::string>> map{{a, b}, {b, a}};
  EXPECT_EQ(stored(map), stored(std::map<std::string, std::string>{{a, b}, {b, a}}));
}

TEST(Codec, ResultsOfCodecsAreCopied) {
  const std::vector<Letter> letters{Letter(std::string(20'000, 'a')), Letter(std::string(20'000, 'b'))};
  EXPECT_EQ(read(stored(letters)).as<std::vector<Letter>>(), letters);
}

TEST(Codec, Tuples) {
  EXPECT_EQ(round_trip(std::tuple<>()), std::tuple<>());
  EXPECT_EQ(round_trip(std::tuple(1)), std::tuple(1));
  EXPECT_EQ(round_trip(std::tuple(1, 2.5)), std::tuple(1, 2.5));
  EXPECT_EQ(round_trip(std::tuple(1, 2.5, true)), std::tuple(1, 2.5, true));
  EXPECT_EQ(round_trip(std::tuple(1, 2, 3, std::string("x"))), std::tuple(1, 2, 3, std::string("x")));
  EXPECT_EQ(round_trip(std::tuple(1, 2, 3, 4, 5)), std::tuple(1, 2, 3, 4, 5));
  EXPECT_EQ(round_trip(std::pair(1, std::string("x"))), std::pair(1, std::string("x")));
  EXPECT_EQ(round_trip(std::tuple(std::tuple(1, 2), std::vector{3})), std::tuple(std::tuple(1, 2), std::vector{3}));
}

TEST(Codec, Optionals) {
  expect_round_trips<std::optional<int>>({std::nullopt, 0, 7});
  expect_round_trips<std::optional<std::string>>({std::nullopt, "", "x"});
  expect_round_trips<std::vector<std::optional<double>>>({{1.0, std::nullopt, 2.0}});
  EXPECT_TRUE(read(pickled(std::optional<int>())).root().is_none());
}

TEST(Codec, Variants) {
  using Any = std::variant<std::monostate, bool, int, double, std::string, Bytes, std::vector<int>,
                           std::map<std::string, int>, std::set<int>, std::tuple<int, int>, std::complex<double>>;
  for (const Any& value : {Any(), Any(true), Any(3), Any(2.5), Any(std::string("text")), Any(Bytes("\xff")),
                           Any(std::vector{1, 2}), Any(std::map<std::string, int>{{"a", 1}}), Any(std::set{3}),
                           Any(std::tuple(1, 2)), Any(std::complex<double>(1, 2))}) {
    EXPECT_EQ(round_trip(value), value) << value.index();
  }
  EXPECT_TRUE(read(pickled(Any())).root().is_none());
}

TEST(Codec, VariantsAcceptConvertibleValues) {
  using Number = std::variant<double, std::string>;
  EXPECT_EQ(read(pickled(3)).as<Number>(), Number(3.0));  // an int, where only a float is expected
  using Path = std::variant<std::string, std::vector<double>>;
  EXPECT_EQ(read(pickled(std::tuple(1.0, 2.0))).as<Path>(), Path(std::vector{1.0, 2.0}));
  EXPECT_EQ(read(pickled(Array<double>{1, 2})).as<Path>(), Path(std::vector{1.0, 2.0}));
  EXPECT_THAT(mismatch<Number>(read(pickled(true)).root()), testing::HasSubstr("any alternative of the variant"));
}

TEST(Codec, Structs) {
  const Everything value{"n", 5, {{"a", {{1, 2.5}, {-1, 0}}}, {"b", {}}}, {3, "x"}};
  EXPECT_EQ(round_trip(value), value);
  EXPECT_EQ(round_trip(std::vector<Everything>{value, {}, value}), (std::vector<Everything>{value, {}, value}));
  EXPECT_EQ(round_trip(Nothing()), Nothing());
  EXPECT_EQ(round_trip(Hidden(3, "b")), Hidden(3, "b"));
  const Document document = read(pickled(Point{1, 2}));
  EXPECT_EQ(repr(document.root()), "{'x': 1, 'y': 2.0}");
}

TEST(Codec, MembersMayComeInAnyOrder) {
  const Document document = read(program("}(\x8c\x01yK\x05\x8c\x01xK\x04u"));
  EXPECT_EQ(document.as<Point>(), (Point{4, 5}));
}

TEST(Codec, TypesOfTheUser) {
  expect_round_trips<Money>({Money(12), Money(-5)});
  expect_round_trips<std::vector<Money>>({{Money(1), Money(2)}});
  expect_round_trips<std::map<std::string, Money>>({{{"a", Money(1)}}});
  expect_round_trips<Mood>({Mood::calm, Mood::wild});  // an enum, which would be an int, as text
  EXPECT_EQ(read(pickled(Mood::wild)).as<std::string>(), "wild");
}

TEST(Codec, TemporariesOfCodecsAreCopied) {
  // save() returns a temporary; the payload must not refer to it, however long it is.
  const std::vector<Letter> letters{Letter(std::string(100'000, 'a')), Letter(std::string(50'000, 'b'))};
  EXPECT_EQ(round_trip(letters), letters);
}

TEST(Codec, NumbersAreReadAsWiderTypes) {
  EXPECT_EQ(read(pickled(true)).as<int>(), 1);
  EXPECT_EQ(read(pickled(7)).as<double>(), 7.0);
  EXPECT_EQ(read(pickled(7)).as<std::uint8_t>(), 7);
  EXPECT_EQ(read(pickled(7)).as<std::complex<double>>(), std::complex<double>(7));
  EXPECT_EQ(read(pickled(2.5)).as<std::complex<double>>(), std::complex<double>(2.5));
  EXPECT_EQ(read(pickled(0.1)).as<float>(), 0.1F);  // rounded to the nearest
  EXPECT_EQ(read(pickled(std::vector{1, 2})).as<std::vector<double>>(), (std::vector{1.0, 2.0}));
  EXPECT_EQ(read(pickled(std::vector{1, 2})).as<std::vector<short>>(), (std::vector<short>{1, 2}));
  EXPECT_EQ(read(pickled(std::vector{0.5, 2.0})).as<std::vector<float>>(), (std::vector<float>{0.5, 2.0}));
  EXPECT_EQ(read(pickled(std::vector<bool>{true, false})).as<std::vector<int>>(), (std::vector{1, 0}));
  EXPECT_EQ(read(pickled(std::tuple(1, 2))).as<std::vector<int>>(), (std::vector{1, 2}));
  EXPECT_EQ((read(pickled(std::vector{1, 2})).as<std::array<double, 2>>()), (std::array{1.0, 2.0}));
  EXPECT_EQ((read(pickled(std::vector{1, 2})).as<std::pair<int, double>>()), (std::pair{1, 2.0}));
}

TEST(Codec, PayloadsHaveTypeNames) {
  auto type = [](const auto& value) {
    detail::Pickler pickler;
    detail::encode(pickler, value);
    return std::string(pickler.type());
  };
  EXPECT_EQ(type(1), "<class 'int'>");
  EXPECT_EQ(type(true), "<class 'bool'>");
  EXPECT_EQ(type(1.5F), "<class 'float'>");
  EXPECT_EQ(type(std::string()), "<class 'str'>");
  EXPECT_EQ(type(std::vector<std::string>()), "<class 'list'>");
  EXPECT_EQ(type(std::vector<int>()), "<class 'list'>");
  EXPECT_EQ(type(Point()), "<class 'dict'>");
  EXPECT_EQ(type(std::pair(1, 2)), "<class 'tuple'>");
  EXPECT_EQ(type(Array<int>()), "<class 'numpy.ndarray'>");
  EXPECT_EQ(type(std::optional<int>()), "<class 'NoneType'>");
  EXPECT_EQ(type(std::chrono::system_clock::now()), "<class 'datetime.datetime'>");
}

TEST(Codec, ALazyIsAssignedLikeItsValue) {
  Lazy<std::vector<int>> list;
  list = {1, 2, 3};
  EXPECT_THAT(*list, testing::ElementsAre(1, 2, 3));
  const Lazy<std::vector<int>> other = list;
  list = std::vector<int>{4};
  EXPECT_THAT(*list, testing::ElementsAre(4));
  list = other;
  EXPECT_EQ(list->size(), 3U);
  list = {};
  EXPECT_TRUE(list->empty());
  list.edit().push_back(5);
  EXPECT_THAT(*list, testing::ElementsAre(5));
  Lazy<std::string> text;
  text = "a text";
  EXPECT_EQ(*text, "a text");
  Lazy<Point> point;
  point = {1, 2};
  EXPECT_EQ(point->x, 1);
  Lazy<double> number;
  number = 2;
  EXPECT_EQ(*number, 2.0);
}

// Types without a counterpart in Python cannot be artifacts.
static_assert(!detail::Storable<std::multimap<int, int>> && !detail::Storable<std::multiset<int>>);
static_assert(!detail::Storable<int*> && !detail::Storable<const char*> && !detail::Storable<std::string_view>);
static_assert(!detail::Storable<long double> && !detail::Storable<std::vector<long double>>);
static_assert(!detail::Storable<std::chrono::steady_clock::time_point>);
static_assert(!detail::Storable<std::set<std::vector<int>>> && !detail::Storable<std::map<Point, int>>);
static_assert(!detail::Storable<std::optional<std::optional<int>>>);
static_assert(detail::Storable<Lazy<Everything>> && !detail::Storable<Lazy<int*>*>);

}  // namespace
}  // namespace metaflow::value
