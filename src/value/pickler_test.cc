#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include <metaflow/codec.h>
#include <metaflow/detail/pickler.h>

#include "value/encode_value.h"
#include "value/testing.h"

namespace metaflow::value {
namespace {

using namespace std::string_literals;

using detail::Pickler;
using detail::ValuesOutlive;

std::string written(auto write) {
  Pickler pickler;
  write(pickler);
  pickler.finish();
  EXPECT_EQ(pickler.size(), flat(pickler).size());
  return flat(pickler);
}

// These bytes are a stored format: they must not change between versions.
TEST(Pickler, Bytes) {
  EXPECT_EQ(written([](Pickler& out) { out.none(); }), program("N"));
  EXPECT_EQ(written([](Pickler& out) { out.boolean(true); }), program("\x88"));
  EXPECT_EQ(written([](Pickler& out) { out.integer(255); }), program("K\xff"));
  EXPECT_EQ(written([](Pickler& out) { out.integer(256); }), program("M\0\1"s));
  EXPECT_EQ(written([](Pickler& out) { out.integer(-1); }), program("J\xff\xff\xff\xff"));
  EXPECT_EQ(written([](Pickler& out) { out.integer(std::int64_t{1} << 40); }), program("\x8a\x08\0\0\0\0\0\1\0\0"s));
  EXPECT_EQ(written([](Pickler& out) { out.unsigned_integer(UINT64_MAX); }),
            program("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0"s));
  EXPECT_EQ(written([](Pickler& out) { out.real(1); }), program("G\x3f\xf0\0\0\0\0\0\0"s));
  EXPECT_EQ(written([](Pickler& out) { out.text("ab"); }), program("\x8c\x02"
                                                                   "ab"));
  EXPECT_EQ(pickled(Bytes("ab")), program("C\x02"
                                          "ab"));
  EXPECT_EQ(pickled(std::vector{1, 2}), program("](K\x01K\x02"
                                                "e"));
  EXPECT_EQ(pickled(std::vector<int>()), program("]"));
  EXPECT_EQ(pickled(std::vector<std::string>{"a"}), program("](\x8c\x01"
                                                            "ae"));
  EXPECT_EQ(pickled(std::map<std::string, int>{{"a", 1}}), program("}(\x8c\x01"
                                                                   "aK\x01u"));
  EXPECT_EQ(pickled(std::tuple(1, true)), program("K\x01\x88\x86"));
  EXPECT_EQ(pickled(std::tuple(1, 2, 3, 4)), program("(K\x01K\x02K\x03K\x04t"));
}

TEST(Pickler, NumbersOfEveryTypeAreWrittenAlike) {
  const std::string expected = pickled(std::vector<std::int64_t>{1, 2, 100});
  EXPECT_EQ(pickled(std::vector<std::int8_t>{1, 2, 100}), expected);
  EXPECT_EQ(pickled(std::vector<std::uint8_t>{1, 2, 100}), expected);
  EXPECT_EQ(pickled(std::vector<std::uint16_t>{1, 2, 100}), expected);
  EXPECT_EQ(pickled(std::vector<std::uint32_t>{1, 2, 100}), expected);
  EXPECT_EQ(pickled(std::vector<std::uint64_t>{1, 2, 100}), expected);
  EXPECT_EQ(pickled(std::vector<float>{0.5F}), pickled(std::vector<double>{0.5}));
}

TEST(Pickler, TemporaryValuesAreCopied) {
  const std::string expected(100'000, 'x');
  Pickler pickler;
  pickler.begin_tuple(3);
  for (int kind = 0; kind < 3; ++kind) {
    std::string text = expected;
    const std::size_t shape = text.size();
    pickler.next();
    if (kind == 0) pickler.text(text);
    if (kind == 1) pickler.bytes(base::as_bytes(text));
    if (kind == 2) pickler.array('u', 1, std::span(&shape, 1), base::as_bytes(text));
    text.assign(text.size(), 'y');
  }
  pickler.end();
  pickler.finish();
  const Document document = read(flat(pickler));
  EXPECT_EQ(document.root()[0].text(), expected);
  EXPECT_EQ(base::as_text(document.root()[1].bytes()), expected);
  EXPECT_EQ(base::as_text(document.root()[2].array().bytes), expected);
}

TEST(Pickler, ValuesThatOutliveItAreNotCopied) {
  const std::string text(100'000, 'x');
  Pickler pickler{ValuesOutlive{}};
  pickler.begin_list();
  pickler.next();
  pickler.text(text);
  pickler.next();
  pickler.bytes(base::as_bytes(text));
  pickler.end();
  pickler.finish();
  int references = 0;
  for (const auto& part : pickler.parts()) references += static_cast<const void*>(part.data()) == text.data() ? 1 : 0;
  EXPECT_EQ(references, 2);
  EXPECT_EQ(read(flat(pickler)).root()[0].text(), text);
}

TEST(Pickler, CopiesOnRequest) {
  Pickler pickler{ValuesOutlive{}};
  {
    std::string text(100'000, 'x');
    const Pickler::Copying copying(pickler);
    pickler.text(text);
    text.assign(100'000, 'y');
  }
  pickler.finish();
  EXPECT_EQ(read(flat(pickler)).root().text(), std::string(100'000, 'x'));
}

TEST(Pickler, PiecesAreFew) {
  Pickler pickler;
  detail::encode(pickler, std::vector<double>(1'000'000, 1.5));
  pickler.finish();
  EXPECT_LT(pickler.parts().size(), 24U);  // each is as large as all before it
}

template <class T>
void expect_items(const T& values) {
  Pickler pickler;
  pickler.record_items();
  detail::encode(pickler, values);
  pickler.finish();
  const base::SharedBytes payload(flat(pickler));
  EXPECT_EQ(payload.text(), pickled(values)) << "recording changes nothing";
  ASSERT_EQ(pickler.items().size(), values.size());
  using Item = typename detail::ForeachItems<T>::Item;
  std::size_t i = 0;
  for (const auto& element : values) {
    const Item value = element;
    const auto [begin, end] = pickler.items()[i++];
    const auto item = read_item(payload, begin, end).template as<Item>();
    EXPECT_EQ(item, value) << i;
  }
}

TEST(Pickler, RecordsPositionsOfItems) {
  std::vector<int> integers(2500);
  std::vector<double> reals(2500);
  std::map<std::string, std::vector<int>> map;
  for (std::size_t i = 0; i < integers.size(); ++i) {
    integers[i] = static_cast<int>(i) * 100;
    reals[i] = static_cast<double>(i) / 7;
    map[std::to_string(i)] = {static_cast<int>(i), 1};
  }
  expect_items(integers);
  expect_items(reals);
  expect_items(std::vector<std::string>{"a", "", std::string(100'000, 'x')});
  expect_items(std::vector<std::vector<int>>{{1, 2}, {}, std::vector<int>(3000, 5)});
  expect_items(std::vector<std::tuple<int, int, int, int>>{{1, 2, 3, 4}, {5, 6, 7, 8}});
  expect_items(map);
}

TEST(Pickler, ItemsOutOfRange) {
  const base::SharedBytes payload(pickled(std::vector{1, 2}));
  EXPECT_EQ(error_of([&] { read_item(payload, 4, 4); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { read_item(payload, 4, 400); }).code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of([&] { read_item(payload, 3, payload.size()); }).code(), ErrorCode::invalid_value);
}

TEST(Pickler, DataOfArraysIsAlignedInThePayload) {
  for (std::size_t before = 0; before < 130; ++before) {
    const std::vector<double> values{1, 2, 3};
    Pickler pickler;
    pickler.begin_tuple(2);
    pickler.next();
    pickler.text(std::string(before, 'x'));
    pickler.next();
    const std::size_t shape = 3;
    pickler.array('f', 8, std::span(&shape, 1), std::as_bytes(std::span(values)));
    pickler.end();
    pickler.finish();
    const std::string payload = flat(pickler);
    const std::size_t at = payload.find(base::as_text(std::as_bytes(std::span(values))));
    EXPECT_EQ(at % 64, 0U) << before;
    EXPECT_EQ(read(payload).root()[1].as<std::vector<double>>(), values);
  }
}

TEST(Pickler, ObjectsOfPythonClasses) {
  const std::string payload = written([](Pickler& out) {
    out.begin_object("metaflow.tuple_util", "ForeachFrame", 5, true);
    for (int i = 0; i < 5; ++i) {
      out.next();
      out.integer(i);
    }
    out.end();
    out.begin_state();
    out.text("state");
    out.end();
    EXPECT_EQ(out.type(), "<class 'metaflow.tuple_util.ForeachFrame'>");
  });
  const Document document = read(payload);
  EXPECT_EQ(document.root().class_name(), "metaflow.tuple_util.ForeachFrame");
  EXPECT_EQ(document.root().size(), 5U);
  EXPECT_EQ(document.root()[4].integer(), 4);
  EXPECT_EQ(document.root().state().text(), "state");
}

// The class `int` itself, which a careless assignment may store. It must not be read as an instance, int().
TEST(Pickler, PythonClassesAsValues) {
  const Document document = read(program("](cbuiltins\nint\nK\1e"));
  const Value type = document.root()[0];
  EXPECT_EQ(repr(document.root()), "[<class 'int'>, 1]");
  EXPECT_EQ(python_type(type), "<class 'type'>");
  detail::Pickler pickler;
  EXPECT_EQ(error_of([&] { encode_value(pickler, type); }).message(),
            "This value cannot be written: it is <class 'int'>");
  EXPECT_EQ(error_of([] { read(program("cbuiltins\nint\nK\1b")); }).code(), ErrorCode::invalid_value);
}

}  // namespace
}  // namespace metaflow::value
