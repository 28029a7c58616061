// Small pickles that represent huge or cyclic values: reading and traversing them must stay cheap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include <metaflow/array.h>
#include <metaflow/codec.h>

#include "value/encode_value.h"
#include "value/testing.h"

namespace metaflow::value {
namespace {

using namespace std::string_literals;

using testing::HasSubstr;

/// A list of ten references to a list of ten references to ... ten ones: 10^levels ones.
std::string laughs(int levels) {
  std::string text = "](KAKAKAKAKAKAKAKAKAKAe\x94";
  for (int level = 1; level < levels; ++level) {
    const char index = static_cast<char>(level - 1);
    text += "](";
    for (int i = 0; i < 10; ++i) text += std::string("h") + index;
    text += "e\x94";
  }
  // All lists but the last are still on the stack; put everything into a tuple and take its last item.
  return program("(" + text + "t");
}

Document laughing(int levels) {
  Document document = read(laughs(levels));
  return Document(document.root()[document.root().size() - 1], document.memory());
}

using Deep = std::vector<std::vector<std::vector<std::vector<std::vector<int>>>>>;
using VeryDeep = std::vector<std::vector<std::vector<std::vector<Deep>>>>;

TEST(Expansion, ModerateSharingIsRead) {
  const Document document = laughing(5);
  EXPECT_EQ(document.as<Deep>()[9][9][9][9][9], 65);
  EXPECT_EQ(document.as<Array<int>>().size(), 100'000U);
  EXPECT_GT(repr(document.root()).size(), 400'000U);
  EXPECT_EQ(repr(document.root()).size(), to_json(document.root()).size() + 9 * 11'111U);  // without the blanks
}

TEST(Expansion, ExcessiveSharingIsNotTraversed) {
  const Document document = laughing(9);
  EXPECT_THAT(mismatch<VeryDeep>(document.root(), {nullptr, "lol", 0}), HasSubstr("artifact 'lol': [[[[[[[[[65, 65"));
  EXPECT_THAT(mismatch<Array<int>>(document.root()), HasSubstr("contains itself, or parts of it millions of times"));
  EXPECT_LT(repr(document.root()).size(), 100'000U);
  EXPECT_TRUE(repr(document.root()).ends_with("..."));
  EXPECT_LT(to_json(document.root()).size(), 10'000U);
  detail::Pickler pickler;
  EXPECT_EQ(error_of([&] { encode_value(pickler, document.root()); }).code(), ErrorCode::invalid_value);
  // A part of it is small enough.
  EXPECT_EQ(document.root()[0][0][0][0].as<Deep>()[9][9][9][9][9], 65);
}

TEST(Expansion, ManyLevelsAreCheap) {
  const Document document = laughing(40);  // 10^40: more than any counter holds
  EXPECT_LT(repr(document.root()).size(), 100'000U);
  EXPECT_LT(to_json(document.root()).size(), 10'000U);
  EXPECT_THAT(mismatch<Deep>(document.root()), HasSubstr("millions"));
}

TEST(Expansion, CyclicLists) {
  // l = [1]; l.append(l)
  const Document document = read(program("]\x94(K\x01h\0e"s));
  EXPECT_EQ(repr(document.root()), "[1, [...]]");
  EXPECT_EQ(to_json(document.root()), "\"[1, [...]]\"");
  EXPECT_EQ(document.root()[1][1][1][0].integer(), 1);
  EXPECT_THAT(mismatch<std::vector<std::vector<int>>>(document.root()), HasSubstr("contains itself"));
  EXPECT_THAT(mismatch<std::vector<int>>(document.root()), HasSubstr("contains itself"));
  EXPECT_THAT(mismatch<Array<int>>(document.root()), HasSubstr("contains itself"));
  detail::Pickler pickler;
  EXPECT_EQ(error_of([&] { encode_value(pickler, document.root()); }).code(), ErrorCode::invalid_value);
}

TEST(Expansion, CyclesOfOtherContainers) {
  const Document dict = read(program("}\x94(K\x01h\0u"s));  // d[1] = d
  EXPECT_EQ(repr(dict.root()), "{1: {...}}");
  EXPECT_THAT((mismatch<std::map<int, std::map<int, int>>>(dict.root())), HasSubstr("contains itself"));
  const Document tuple =
      read(program("]\x94h\0\x85"
                   "a"s));  // l.append((l,))
  EXPECT_EQ(repr(tuple.root()), "[([...],)]");
  const Document set = read(program("\x8f\x94(h\0\x90"s));
  EXPECT_EQ(repr(set.root()), "{(...)}");
  const Document wide = read(program("]\x94(h\0h\0h\0e"s));
  EXPECT_EQ(repr(wide.root()), "[[...], [...], [...]]");
  // An object whose state is itself.
  const Document object = read(program("cmetaflow.exception\nMetaflowExceptionWrapper\n)\x81\x94h\0b"s));
  EXPECT_EQ(repr(object.root()), "MetaflowExceptionWrapper((...))");
  EXPECT_FALSE(object.root().find("x").has_value());
}

TEST(Expansion, SharedTextsCountByTheirLength) {
  // One text of 64 kB, 1,000 times: 64 MB out of 66 kB.
  std::string text(65536, 'x');
  std::string opcodes = "X\0\0\1\0"s + text +
                        "\x94"
                        "0](";
  for (int i = 0; i < 1000; ++i) opcodes += "h\0"s;
  const Document document = read(program(opcodes + "e"));
  EXPECT_EQ(document.as<std::vector<std::string>>()[999].size(), text.size());
  // 10,000 times: as many bytes are 300 times what the document has.
  for (int i = 0; i < 10000; ++i) opcodes += "h\0"s;
  const Document large = read(program(opcodes + "e"));
  EXPECT_THAT(mismatch<std::vector<std::string>>(large.root()), HasSubstr("millions"));
  EXPECT_EQ(large.root()[10'999].text(), text);
}

TEST(Expansion, ArraysWithoutElementsMayHaveManyRows) {
  const std::string shape = "\x8a\x08"s + "\0\0\0\0\0\0\0\1"s + "K\0\x86"s;
  const Document document =
      read(program("cnumpy\nndarray\nK\0\x85\x8c\x01"
                   "b\x86R(K\x01"s +
                   shape +
                   "cnumpy\ndtype\n\x8c\x02"
                   "f8\x85R\x89" +
                   "C\0tb"s));
  EXPECT_EQ(document.root().size(), std::size_t{1} << 56);
  EXPECT_EQ(repr(document.root()), "array([], shape=(72057594037927936, 0))");
  EXPECT_LT(to_json(document.root()).size(), 1000U);
  EXPECT_THAT(mismatch<std::vector<std::vector<double>>>(document.root()), HasSubstr("millions"));
  EXPECT_EQ(document.as<Array<double>>().shape()[0], std::size_t{1} << 56);
}

TEST(Expansion, ElementsWithoutBytesAreLimited) {
  for (const char* type : {"U0", "S0"}) {
    auto array = [&](const std::string& count) {
      return program(
          "cnumpy\nndarray\nK\0\x85\x8c\x01"
          "b\x86R(K\x01\x8a\x08"s +
          count + "\x85" + "cnumpy\ndtype\n\x8c\x02" + type + "\x85R\x89" + "C\0tb"s);
    };
    for (const std::string& count : {"\0\0\0\0\0\0\0\x40"s, "\x56\x55\x55\x55\x55\x55\x55\x55"s})
      EXPECT_THAT(error_of([&] { read(array(count)); }).message(), HasSubstr("a numpy array is too large"));
    EXPECT_EQ(read(array("\3\0\0\0\0\0\0\0"s)).root().size(), 3U);
  }
}

TEST(Expansion, CallsCannotMultiplyTheirArguments) {
  // p = Path(p, p), thirty times
  std::string opcodes =
      "cpathlib\nPosixPath\n\x94"
      "0X\xe8\x03" +
      std::string(2, '\0') + std::string(1000, 'x') + "\x94";
  for (char i = 1; i < 31; ++i) opcodes += "0h\0h"s + i + "h" + i + "\x86R\x94";
  EXPECT_THAT(error_of([&] { read(program(opcodes)); }).message(), HasSubstr("expands its parts far beyond"));
}

TEST(Expansion, DeepNestingIsHandled) {
  std::string opcodes(1'000'000, ']');
  opcodes += std::string(999'999, 'a');
  const Document document = read(program(opcodes));
  EXPECT_LT(repr(document.root()).size(), 1000U);
  EXPECT_LT(to_json(document.root()).size(), 1000U);
  detail::Pickler pickler;
  EXPECT_EQ(error_of([&] { encode_value(pickler, document.root()); }).message(),
            "This value is nested too deeply to be written");
  EXPECT_THAT(mismatch<Deep>(document.root()), HasSubstr("does not fit an integer"));
}

}  // namespace
}  // namespace metaflow::value
