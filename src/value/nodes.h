// What a Document consists of behind its Values.
#pragma once

#include <metaflow/value.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace metaflow::detail {

/// A list, tuple or set. Numbers of one kind are packed.
struct ListNode {
  enum class Packing : std::uint8_t { values, integers, reals };
  Packing packing = Packing::values;
  std::vector<Value> values;
  std::vector<std::int64_t> integers;
  std::vector<double> reals;

  std::size_t size() const {
    switch (packing) {
      case Packing::integers: return integers.size();
      case Packing::reals: return reals.size();
      case Packing::values: break;
    }
    return values.size();
  }
  void append(const Value* begin, const Value* end);
};

struct DictNode {
  std::vector<Value> keys;
  std::vector<Value> values;
};

struct ArrayNode {
  ArrayView view;
  std::vector<std::size_t> shape;
  std::vector<Value> texts;  // the elements of an array of texts, as UTF-8
};

struct ObjectNode {
  std::string class_name;
  std::vector<Value> arguments;
  Value state;
};

/// Makes Values: the only code that knows their insides.
struct ValueBuilder {
  static Value boolean(bool b);
  static Value integer(std::int64_t i);
  static Value unsigned_integer(std::uint64_t u);
  static Value big_integer(std::span<const std::byte> magnitude);
  static Value real(double d);
  static Value complex(double real, double imaginary);
  static Value text(std::string_view text);
  static Value bytes(std::span<const std::byte> bytes);
  static Value list(Kind kind, const ListNode* node);  // list, tuple or set
  static Value dict(const DictNode* node);
  static Value array(const ArrayNode* node, std::size_t level = 0, std::size_t offset = 0);
  static Value datetime(std::int64_t microseconds);
  static Value timedelta(std::int64_t microseconds, std::int64_t nanoseconds);
  static Value object(const ObjectNode* node);

  static ListNode* list_of(const Value& value) { return const_cast<ListNode*>(value.list_); }
  static DictNode* dict_of(const Value& value) { return const_cast<DictNode*>(value.dict_); }
  static ArrayNode* array_of(const Value& value) { return const_cast<ArrayNode*>(value.array_); }
  static ObjectNode* object_of(const Value& value) { return const_cast<ObjectNode*>(value.object_); }
};

/// The memory of a Document. Nodes never move.
struct Arena {
  std::deque<ListNode> lists;
  std::deque<DictNode> dicts;
  std::deque<ArrayNode> arrays;
  std::deque<ObjectNode> objects;
  std::deque<std::string> texts;
  base::SharedBytes source;

  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
};

/// The element of an array at a position counted in elements.
Value array_element(const ArrayView& view, std::size_t position);

}  // namespace metaflow::detail
