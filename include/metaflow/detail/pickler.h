// Writes values as Python pickles, protocol 4: what Codec calls. Implemented in src/value/pickler.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow::detail {

/// Where one item of a sequence stands in a payload.
struct ItemSpan {
  std::uint64_t begin;
  std::uint64_t end;
};

/// Builds one payload. Long texts, bytes and arrays are not copied but referred to, so they must live until the payload
/// is stored. Not thread-safe.
class Pickler {
 public:
  Pickler();

  void none();
  void boolean(bool value);
  void integer(std::int64_t value);
  void unsigned_integer(std::uint64_t value);
  void real(double value);
  void complex(double real, double imaginary);
  void text(std::string_view utf8);  // throws Error{invalid_value} if it is not UTF-8
  void bytes(std::span<const std::byte> bytes);
  void datetime_utc(std::int64_t microseconds_since_1970);
  void timedelta(std::int64_t microseconds, std::int64_t nanoseconds_below);

  /// A container: begin_x(), then next() and a value (two for a dict) per item, then end().
  void begin_list();
  void begin_set();
  void begin_dict();
  void begin_tuple(std::size_t size);
  void next();
  void end();

  /// begin_list, next and real/integer for each, end: but fast.
  void list_of_reals(std::span<const double> values);
  void list_of_integers(std::span<const std::int64_t> values);

  /// A numpy.ndarray, row-major; `type` as in ArrayView. The data starts at a multiple of 64 of the payload, so that a
  /// mapped payload is an aligned array.
  void array(char type, std::size_t item_size, std::span<const std::size_t> shape, std::span<const std::byte> data);

  /// An instance of a Python class made from a tuple of arguments: begin_object, next and value for each, end.
  /// `with_new`: the class's __new__ is called with them (namedtuples), else the class itself.
  void begin_object(std::string_view module, std::string_view name, std::size_t arguments, bool with_new);
  /// Gives the object that was just ended the state that follows: begin_state(), one value, end().
  void begin_state();

  /// Ends the payload.
  void finish();

  /// From here on, remember where the items of the outermost container stand.
  void record_items() { recording_ = true; }
  const std::vector<ItemSpan>& items() const { return items_; }

  /// "<class 'list'>": Python's words for the type of the whole value.
  std::string_view type() const { return type_; }

  /// The payload, in pieces.
  std::vector<std::span<const std::byte>> parts() const;
  std::size_t size() const { return own_.size() + foreign_size_; }

 private:
  enum class Open : std::uint8_t { list, set, dict, tuple, object_call, object_new, state };
  struct Frame {
    Open what;
    std::size_t count = 0;  // items so far
    std::size_t batch = 0;  // items since the last MARK
    std::size_t arity = 0;  // of a tuple
  };
  struct Foreign {
    std::size_t at;  // position in own_ before which it stands
    std::span<const std::byte> bytes;
  };

  void put(char opcode) { own_.push_back(opcode); }
  void put_u32(std::uint32_t value);
  void put_u64(std::uint64_t value);
  void global(std::string_view module, std::string_view name);
  void put_bytes(std::span<const std::byte> bytes, std::size_t alignment);
  void close_item();
  void note_type(std::string_view type) {
    if (type_.empty()) type_ = type;
  }

  std::string own_;
  std::vector<Foreign> foreign_;
  std::size_t foreign_size_ = 0;
  std::vector<Frame> frames_;
  std::vector<ItemSpan> items_;
  bool recording_ = false;
  std::string_view type_;
  std::string class_name_;
};

}  // namespace metaflow::detail
