// The data structures of a Document.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include <metaflow/value.h>

#include "base/bytes.h"

namespace metaflow::detail {

/// The number of values in a container with every shared part counted as often as it occurs. Only computed if parts are
/// shared (see expansion.h): else 0.
using Expansion = std::uint64_t;
inline constexpr Expansion kExcessive = UINT64_MAX;  // more than the size of the document justifies, or cyclic

/// A list, tuple or set. Numbers of one type are packed.
struct ListNode {
  enum class Packing : std::uint8_t { values, integers, reals };
  Packing packing = Packing::values;
  std::size_t size = 0;
  std::size_t capacity = 0;  // bytes
  void* data = nullptr;
  mutable Expansion expansion = 0;

  std::span<const Value> values() const { return view<Value>(Packing::values); }
  std::span<const std::int64_t> integers() const { return view<std::int64_t>(Packing::integers); }
  std::span<const double> reals() const { return view<double>(Packing::reals); }

 private:
  template <class T>
  std::span<const T> view(Packing kind) const {
    return packing == kind ? std::span(static_cast<const T*>(data), size) : std::span<const T>();
  }
};

struct DictNode {
  std::size_t size = 0;      // items
  std::size_t capacity = 0;  // bytes
  void* data = nullptr;      // key, value, key, value...
  mutable Expansion expansion = 0;

  const Value& key(std::size_t i) const { return static_cast<const Value*>(data)[2 * i]; }
  const Value& mapped(std::size_t i) const { return static_cast<const Value*>(data)[2 * i + 1]; }
};

struct ArrayNode {
  ArrayView view;
  std::span<const Value> texts;               // the elements of an array of texts, as UTF-8
  const base::SharedBytes* source = nullptr;  // the owner of view.bytes; null: the arena
  mutable Expansion expansion = 0;
};

struct ObjectNode {
  std::string_view class_name;
  std::span<const Value> arguments;
  Value state;
  bool is_class = false;  // the class itself, not an instance
  mutable Expansion expansion = 0;
};

/// Creates Values: the only code that knows their representation.
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

/// The memory of a Document. Allocated memory never moves and lives as long as the Arena.
class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  ListNode& list() { return make<ListNode>(); }
  DictNode& dict() { return make<DictNode>(); }
  ArrayNode& array() { return make<ArrayNode>(); }
  ObjectNode& object() { return make<ObjectNode>(); }

  void append(ListNode& list, std::span<const Value> values);
  void append(DictNode& dict, std::span<const Value> keys_and_values);
  /// Reserves room for more integers or reals at the end of a list that has only those. Returns the room.
  template <class T>
  T* extend(ListNode& list, std::size_t count) {
    grow(list.data, list.capacity, list.size * sizeof(T), count * sizeof(T));
    T* at = static_cast<T*>(list.data) + list.size;
    list.size += count;
    return at;
  }

  /// Copies into the arena.
  std::string_view keep(std::string_view text);
  template <class T>
  std::span<const T> keep(std::span<const T> items) {
    if (items.empty()) return {};
    T* copy = static_cast<T*>(allocate(items.size_bytes()));
    std::uninitialized_copy(items.begin(), items.end(), copy);
    return {copy, items.size()};
  }

  base::SharedBytes source;

 private:
  // Nodes need no destructor: they own nothing.
  template <class T>
  T& make() {
    static_assert(std::is_trivially_destructible_v<T>);
    return *new (allocate(sizeof(T))) T;
  }
  void* allocate(std::size_t bytes) {
    bytes = (bytes + 15) / 16 * 16;
    if (static_cast<std::size_t>(end_ - at_) < bytes) return allocate_slow(bytes);
    std::byte* memory = at_;
    at_ += bytes;
    return memory;
  }
  void* allocate_slow(std::size_t bytes);
  /// Grows a block with `used` bytes by at least `more` bytes.
  void grow(void*& data, std::size_t& capacity, std::size_t used, std::size_t more);

  std::byte* at_ = nullptr;
  std::byte* end_ = nullptr;
  std::size_t chunk_size_ = 512;
  std::vector<void*> blocks_;
};

/// The element of an array at a position counted in elements.
Value array_element(const ArrayView& view, std::size_t position);

/// The element of an array without dimensions; other values unchanged.
Value scalar_of(const Value& value);

/// The expansion field of a container; null for other values.
Expansion* expansion_of(const Value& value);

/// A Python class (or function) itself, as in the value `int`.
bool is_class(const Value& value);

/// Whether traversing this container would cost more than the size of its document justifies.
bool is_excessive(const Value& value);

}  // namespace metaflow::detail
