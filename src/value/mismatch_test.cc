// Stored values that do not fit the C++ type: the Error states the value and its location.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <complex>
#include <map>
#include <set>
#include <variant>

#include <metaflow/array.h>
#include <metaflow/codec.h>

#include "value/testing.h"

namespace metaflow::value {
namespace {

using namespace std::string_literals;

using testing::HasSubstr;

struct Point {
  int x = 0;
  double y = 0;
};

struct Path {
  std::string name;
  std::vector<Point> points;
};

template <class T, class Given>
std::string mismatch_of(const Given& given) {
  const Document document = read(pickled(given));
  return mismatch<T>(document.root());
}

TEST(Mismatch, IntegersAreNotNarrowed) {
  EXPECT_EQ(mismatch_of<std::int8_t>(128), "128 is beyond [-128, 127]");
  EXPECT_EQ(mismatch_of<std::uint8_t>(-1), "-1 is beyond [0, 255]");
  EXPECT_EQ(mismatch_of<int>(std::int64_t{1} << 31), "2147483648 is beyond [-2147483648, 2147483647]");
  EXPECT_EQ(mismatch_of<std::int64_t>(UINT64_MAX),
            "18446744073709551615 is beyond [-9223372036854775808, 9223372036854775807]");
  EXPECT_EQ(mismatch_of<std::uint64_t>(std::int64_t{-1}), "-1 is beyond [0, 18446744073709551615]");
  const Document huge = read(program("\x8a\x09"s + std::string(8, '\0') + "\x02"));  // 2^65
  EXPECT_EQ(mismatch<std::uint64_t>(huge.root()), "36893488147419103232 is beyond [0, 18446744073709551615]");
  EXPECT_THAT(mismatch<double>(huge.root()), HasSubstr("floating point"));
}

TEST(Mismatch, RealsAreNotIntegers) {
  EXPECT_EQ(mismatch_of<int>(1.0), "1.0 of type <class 'float'> does not fit an integer");
  EXPECT_EQ(mismatch_of<unsigned>(1.0), "1.0 of type <class 'float'> does not fit an unsigned integer");
  EXPECT_EQ(mismatch_of<bool>(1), "1 of type <class 'int'> does not fit bool");
  EXPECT_EQ(mismatch_of<double>(std::complex<double>(1, 2)),
            "(1+2j) of type <class 'complex'> does not fit a floating point number");
}

TEST(Mismatch, IntegersWithoutAnExactReal) {
  EXPECT_EQ(mismatch_of<double>((std::int64_t{1} << 53) + 1), "9007199254740993 has no exact floating point value");
  EXPECT_EQ(mismatch_of<double>(INT64_MAX), "9223372036854775807 has no exact floating point value");
  EXPECT_EQ(mismatch_of<float>((1 << 24) + 1), "16777217 has no exact value as float");
  EXPECT_EQ(read(pickled(INT64_MIN)).as<double>(), -0x1p63);
  EXPECT_EQ(read(pickled(1 << 24)).as<float>(), 0x1p24F);
  EXPECT_EQ(mismatch_of<std::vector<float>>(std::vector{1, (1 << 24) + 1}),
            "item 1: 16777217 has no exact value as float");
  EXPECT_EQ(mismatch_of<std::vector<double>>(std::vector<std::int64_t>{1, INT64_MAX}),
            "item 1: 9223372036854775807 has no exact floating point value");
}

TEST(Mismatch, RealsBeyondFloat) {
  EXPECT_EQ(mismatch_of<float>(1e39), "1e+39 is beyond the range of float");
  EXPECT_EQ(mismatch_of<std::complex<float>>(std::complex<double>(0, -1e39)), "-1e+39j is beyond the range of float");
  EXPECT_EQ(mismatch_of<std::vector<float>>(std::vector{0.5, 1e39}), "item 1: 1e+39 is beyond the range of float");
}

TEST(Mismatch, OtherKinds) {
  EXPECT_EQ(mismatch_of<std::string>(5), "5 of type <class 'int'> does not fit a text");
  EXPECT_EQ(mismatch_of<Bytes>(std::string("x")), "'x' of type <class 'str'> does not fit bytes");
  EXPECT_EQ(mismatch_of<std::string>(Bytes("x")), "b'x' of type <class 'bytes'> does not fit a text");
  EXPECT_EQ(mismatch_of<std::vector<int>>(std::set{1}), "{1} of type <class 'set'> does not fit a list");
  EXPECT_EQ(mismatch_of<std::set<int>>(std::vector{1}), "[1] of type <class 'list'> does not fit a set");
  EXPECT_EQ((mismatch_of<std::map<int, int>>(1)), "1 of type <class 'int'> does not fit a dict");
  EXPECT_EQ((mismatch_of<std::pair<int, int>>(1)), "1 of type <class 'int'> does not fit a tuple");
  EXPECT_EQ(mismatch_of<Point>(1), "1 of type <class 'int'> does not fit a struct");
  EXPECT_EQ(mismatch_of<std::vector<int>>(std::optional<int>()), "None of type <class 'NoneType'> does not fit a list");
  EXPECT_EQ(mismatch_of<std::chrono::seconds>(1), "1 of type <class 'int'> does not fit a duration");
  EXPECT_EQ(mismatch_of<std::chrono::system_clock::time_point>(1),
            "1 of type <class 'int'> does not fit a point in time");
  EXPECT_EQ(mismatch_of<std::monostate>(1), "1 of type <class 'int'> does not fit None");
  EXPECT_EQ((mismatch_of<std::variant<int, std::string>>(std::vector{1})),
            "[1] of type <class 'list'> does not fit any alternative of the variant");
}

TEST(Mismatch, Sizes) {
  EXPECT_EQ((mismatch_of<std::array<int, 3>>(std::vector{1, 2})), "2 items instead of 3");
  EXPECT_EQ((mismatch_of<std::pair<int, int>>(std::vector{1, 2, 3})), "3 items instead of 2");
  EXPECT_EQ((mismatch_of<std::tuple<>>(std::vector{1})), "1 items instead of 0");
}

TEST(Mismatch, Structs) {
  EXPECT_EQ((mismatch_of<Point>(std::map<std::string, int>{{"x", 1}})), "{'x': 1} has no 'y'");
  EXPECT_EQ((mismatch_of<Point>(std::map<std::string, int>{{"x", 1}, {"z", 1}})), "{'x': 1, 'z': 1} has no 'y'");
  EXPECT_EQ((mismatch_of<Point>(std::map<std::string, int>{{"x", 1}, {"y", 2}, {"z", 3}})),
            "{'x': 1, 'y': 2, 'z': 3} has 'z', which is not a member of the struct");
  EXPECT_EQ((mismatch_of<Point>(std::map<int, int>{{1, 1}, {2, 2}, {3, 3}})),
            "{1: 1, 2: 2, 3: 3} has 1, which is not a member of the struct");
  EXPECT_EQ(mismatch<Point>(read(program("}(\x8c\x01xK\x01\x8c\x01xK\x02\x8c\x01yK\x03u")).root()),
            "{'x': 1, 'x': 2, 'y': 3} has a member more than once");
}

TEST(Mismatch, ErrorsStateTheLocation) {
  const detail::Place artifact{nullptr, "paths", 0};
  const std::vector<Path> paths{{"a", {}}, {"b", {{1, 2}, {3, 4}}}};
  Document document = read(pickled(paths));
  struct WantsInt {
    int x = 0;
    int y = 0;
  };
  struct Narrow {
    std::string name;
    std::vector<WantsInt> points;
  };
  EXPECT_EQ(mismatch<std::vector<Narrow>>(document.root(), artifact),
            "artifact 'paths', item 1, 'points', item 0, 'y': 2.0 of type <class 'float'> does not fit an integer");
  EXPECT_EQ(mismatch<std::vector<Narrow>>(document.root()),
            "item 1, 'points', item 0, 'y': 2.0 of type <class 'float'> does not fit an integer");
  document = read(pickled(std::map<std::string, int>{{"a", 1}, {"b", 1000}}));
  EXPECT_EQ((mismatch<std::map<std::string, std::uint8_t>>(document.root(), artifact)),
            "artifact 'paths', item 1: 1000 is beyond [0, 255]");
  document = read(pickled(std::vector{1, 2, 300}));
  EXPECT_EQ(mismatch<std::vector<std::uint8_t>>(document.root(), artifact),
            "artifact 'paths', item 2: 300 is beyond [0, 255]");
  EXPECT_EQ(mismatch<Array<std::uint8_t>>(document.root(), artifact),
            "artifact 'paths', item 2: 300 is beyond [0, 255]");
}

TEST(Mismatch, InvalidUtf8) {
  // Python stores lone surrogates in this way, for example for file names that are not UTF-8.
  const Document document = read(program("\x8c\x03\xed\xb2\x80"));
  EXPECT_THAT(mismatch<std::string>(document.root(), {nullptr, "name", 0}),
              HasSubstr("artifact 'name': '\\udc80' is not UTF-8"));
}

TEST(Mismatch, LongValuesAreCutInMessages) {
  const std::string message = mismatch_of<int>(std::vector<int>(100'000, 7));
  EXPECT_LT(message.size(), 200U);
  EXPECT_THAT(message, HasSubstr("..."));
}

TEST(Mismatch, AccessorsOfValuesCheckTheKind) {
  const Document document = read(pickled(std::vector{1, 2}));
  const Value list = document.root();
  EXPECT_EQ(error_of([&] { list.boolean(); }).message(), "This value is <class 'list'>, not a bool");
  EXPECT_EQ(error_of([&] { list.integer(); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list.real(); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list.imaginary(); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list.text(); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list.bytes(); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list.array(); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list.shape(); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list.magnitude(); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list.microseconds(); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list.mapped(0); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { list[2]; }).message(), "Index 2 is out of range for a <class 'list'> of size 2");
  EXPECT_EQ(error_of([&] { list[0].size(); }).message(), "This value is <class 'int'>, not a container");
  EXPECT_FALSE(list.find("x").has_value());
  EXPECT_FALSE(list.unsigned_integer().has_value());
  EXPECT_EQ(list.class_name(), "");
  EXPECT_TRUE(list.state().is_none());
}

}  // namespace
}  // namespace metaflow::value
