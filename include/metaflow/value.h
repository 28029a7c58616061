// Stored values, before they have a C++ type: what the client library reads, and what Codec converts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <metaflow/error.h>

namespace metaflow {

class Document;

namespace detail {
struct Place;
struct ListNode;
struct DictNode;
struct ArrayNode;
struct ObjectNode;
struct ValueBuilder;
}  // namespace detail

/// The Python type of a value.
enum class Kind : std::uint8_t {
  none,
  boolean,
  integer,      // fits int64
  big_integer,  // does not fit: see Value::magnitude
  real,
  text,
  bytes,
  list,
  tuple,
  set,  // also frozenset
  dict,
  array,  // numpy.ndarray
  complex,
  datetime,   // microseconds since 1970, UTC (a naive datetime is read as UTC)
  timedelta,  // microseconds
  object,     // an instance of a class: its name, arguments and state
};

/// The elements of an n-dimensional array, as numpy describes them.
struct ArrayView {
  /// numpy's kind: b(ool) i(nt) u(nsigned) f(loat) c(omplex) S(bytes) U(nicode) M(datetime64) m(timedelta64)
  char type = 'f';
  std::string_view unit = {};          ///< unit of the integers of M and m: "[ns]"
  std::size_t item_size = 8;           ///< bytes per element
  bool big_endian = false;             ///< byte order of the elements
  bool column_major = false;           ///< first index varies fastest, as in Fortran
  std::span<const std::size_t> shape;  ///< size of each dimension
  std::span<const std::byte> bytes;    ///< shape's product x item_size
};

/// One value inside a Document: a number, a text, a list of values... A light reference (24 bytes), valid as long as
/// the Document. Safe to read from several threads. Accessors throw Error{invalid_value} if the value is of another
/// kind.
///
/// A container may hold another one several times, or itself, as in Python. Such references are not expanded a million
/// times: as() throws, repr() and to_json() write "...".
class Value {
 public:
  Value() = default;

  /// The Python type.
  Kind kind() const noexcept { return kind_; }
  /// Whether it is None.
  bool is_none() const noexcept { return kind_ == Kind::none; }

  /// The value of a bool.
  bool boolean() const;
  /// The value of an int that fits.
  std::int64_t integer() const;
  double real() const;            ///< the real part of a complex number
  double imaginary() const;       ///< the imaginary part of a complex number
  std::string_view text() const;  ///< UTF-8
  /// The content of bytes.
  std::span<const std::byte> bytes() const;
  ArrayView array() const;                     ///< not for rows of a column-major array, which are not contiguous
  std::span<const std::size_t> shape() const;  ///< of an array, or of a row of one

  /// An integer that fits uint64; else nothing.
  std::optional<std::uint64_t> unsigned_integer() const;
  /// Little-endian two's complement of an integer that does not fit.
  std::span<const std::byte> magnitude() const;

  /// Of datetime and timedelta; the nanoseconds are the part of a C++ duration below one microsecond.
  std::int64_t microseconds() const;
  /// Nanoseconds below one microsecond: 0 to 999.
  std::int64_t nanoseconds_below() const;

  /// Elements of a list, tuple, set or (keys of a) dict; arguments of an object; elements of the first dimension of an
  /// array.
  std::size_t size() const;
  /// The element at this position. Throws Error{invalid_value} if it is out of range.
  Value operator[](std::size_t index) const;

  /// All elements of a list, if it holds only floats (64-bit integers); else empty.
  std::span<const double> packed_reals() const;
  /// All elements of a list, if it holds only 64-bit integers; else empty.
  std::span<const std::int64_t> packed_integers() const;

  /// The value of the index-th item of a dict; its key is [index].
  Value mapped(std::size_t index) const;
  /// The value under a text key of a dict, or of an object's state.
  std::optional<Value> find(std::string_view key) const;

  /// "collections.OrderedDict" of an object; empty for other kinds.
  std::string_view class_name() const;
  /// The argument of an object's __setstate__; none if there is none.
  Value state() const;

  /// The value as a C++ type; declared by <metaflow/codec.h>. Never narrows: a value that does not fit is an error.
  template <class T>
  T as() const;

 private:
  friend struct detail::ValueBuilder;

  union {
    bool boolean_;
    std::int64_t integer_ = 0;
    double real_;
    const char* data_;
    const detail::ListNode* list_;
    const detail::DictNode* dict_;
    const detail::ArrayNode* array_;
    const detail::ObjectNode* object_;
  };
  union {
    std::size_t size_ = 0;
    double imaginary_;
    std::int64_t nanoseconds_;
  };
  Kind kind_ = Kind::none;
};

/// Python's repr() of the value; cut with "..." after about `limit` bytes. Never throws.
std::string repr(const Value& value, std::size_t limit = SIZE_MAX);
/// Python's str(): a text unquoted, other values as repr.
std::string text_of(const Value& value, std::size_t limit = SIZE_MAX);
/// "<class 'int'>"
std::string python_type(const Value& value);
/// As JSON; bytes as base64 text, arrays as nested lists, values without a JSON form as text_of. Never throws.
std::string to_json(const Value& value);

/// A value read from a store, with its memory (often a mapped file). Cheap to copy; copies share the memory.
class Document {
 public:
  Document() = default;
  /// For the library: a value, and what keeps its memory.
  Document(Value root, std::shared_ptr<const void> memory) : root_(root), memory_(std::move(memory)) {}

  /// The value. Valid as long as a copy of this document.
  const Value& root() const noexcept { return root_; }
  /// The owner of the memory.
  const std::shared_ptr<const void>& memory() const noexcept { return memory_; }

  /// The value as a C++ type; see Value::as.
  template <class T>
  T as() const {
    return root_.as<T>();
  }

 private:
  Value root_;
  std::shared_ptr<const void> memory_;
};

}  // namespace metaflow
