// Writes values as Python pickles, protocol 4. Called by Codec. Implemented in src/value/pickler.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow {
struct ArrayView;
}

namespace metaflow::detail {

/// The position of one item of a sequence in a payload.
struct ItemSpan {
  std::uint64_t begin;
  std::uint64_t end;
};

/// The caller's promise that values live, unchanged, until the payload has been used.
struct ValuesOutlive {};

/// Builds one payload. Not thread-safe.
class Pickler {
 public:
  /// Copies all values.
  Pickler();
  /// Refers to long texts, bytes and arrays instead of copying them; copies short ones.
  explicit Pickler(ValuesOutlive);
  Pickler(const Pickler&) = delete;
  Pickler& operator=(const Pickler&) = delete;

  void none();
  void boolean(bool value);
  void integer(std::int64_t value);
  void unsigned_integer(std::uint64_t value);
  void big_integer(std::span<const std::byte> magnitude);  // little-endian two's complement
  void real(double value);
  void complex(double real, double imaginary);
  void text(std::string_view utf8);        // throws Error{invalid_value} if it is not UTF-8
  void identifier(std::string_view name);  // a text that is known to be UTF-8
  void bytes(std::span<const std::byte> bytes);
  void datetime_utc(std::int64_t microseconds_since_1970);
  void timedelta(std::int64_t microseconds, std::int64_t nanoseconds_below);

  /// A container: begin_x(), then next() and a value (two for a dict) per item, then end().
  void begin_list();
  void begin_set();
  void begin_frozen_set();
  void begin_dict();
  void begin_tuple(std::size_t size);
  void next();
  void end();

  /// Fast equivalent of begin_list, next and integer or real for each, end. Type and size of the numbers as in
  /// ArrayView.
  void list_of_numbers(char type, std::size_t item_size, const void* numbers, std::size_t count);

  /// A numpy.ndarray, row-major; `type` as in ArrayView. The data starts at a multiple of 64 of the payload, so that a
  /// mapped payload is an aligned array.
  void array(char type, std::size_t item_size, std::span<const std::size_t> shape, std::span<const std::byte> data);
  /// The same with any byte order, order of dimensions and type of elements.
  void array(const ArrayView& array);

  /// An instance of a Python class, constructed from a tuple of arguments: begin_object, next and value for each, end.
  /// `with_new`: the arguments go to the class's __new__ (namedtuples), else to the class itself.
  void begin_object(std::string_view module, std::string_view name, std::size_t arguments, bool with_new);
  /// Adds the state that follows to the object just ended: begin_state(), one value, end().
  void begin_state();

  /// Copies every value during its lifetime: for parts of a value that are created while it is written. Without
  /// `needed` it does nothing.
  class Copying {
   public:
    explicit Copying(Pickler& pickler, bool needed = true) : pickler_(pickler), needed_(needed) {
      pickler_.copying_ += needed_ ? 1 : 0;
    }
    ~Copying() { pickler_.copying_ -= needed_ ? 1 : 0; }
    Copying(const Copying&) = delete;
    Copying& operator=(const Copying&) = delete;

   private:
    Pickler& pickler_;
    bool needed_;
  };

  /// Ends the payload.
  void finish();

  /// From here on, record the positions of the items of the outermost container.
  void record_items() { recording_ = true; }
  const std::vector<ItemSpan>& items() const { return items_; }

  /// "<class 'list'>": Python's name for the type of the whole value.
  std::string_view type() const { return type_; }

  /// The payload, in pieces.
  std::vector<std::span<const std::byte>> parts() const;
  std::size_t size() const { return finished_ + static_cast<std::size_t>(at_ - piece_); }

 private:
  enum class Open : std::uint8_t { list, set, frozen_set, dict, tuple, object_call, object_new, state };
  struct Frame {
    Open what;
    std::size_t count = 0;  // items so far
    std::size_t group = 0;  // items since the last MARK
    std::size_t arity = 0;  // of a tuple
  };

  /// Memory for `size` bytes; the caller then advances at_ by what it wrote.
  char* room(std::size_t size) {
    if (static_cast<std::size_t>(end_ - at_) < size) add_chunk(size);
    return at_;
  }
  void add_chunk(std::size_t size);
  void put(char opcode) { *room(1) = opcode, ++at_; }
  void put(std::string_view bytes);
  void put_text(std::string_view utf8);
  void put_bytes(std::span<const std::byte> bytes, std::size_t alignment);
  void put_reference(std::span<const std::byte> bytes);
  void finish_piece();
  void global(std::string_view module, std::string_view name);
  void close_item();
  template <class T>
  void list_of(std::span<const T> numbers);
  void note_type(std::string_view type) {
    if (type_.empty()) type_ = type;
  }

  // The payload: finished pieces (of chunks, and of referenced memory), then [piece_, at_) of the chunk that ends at
  // end_.
  static constexpr std::size_t kFirstChunk = 256;
  std::array<char, kFirstChunk> first_chunk_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::vector<std::span<const std::byte>> pieces_;
  std::size_t finished_ = 0;  // bytes in pieces_
  std::size_t chunk_size_ = kFirstChunk;
  char* piece_ = nullptr;
  char* at_ = nullptr;
  char* end_ = nullptr;

  std::vector<Frame> frames_;
  std::vector<ItemSpan> items_;
  bool recording_ = false;
  int copying_ = 0;  // 0: long values are referenced
  std::string_view type_;
  std::string class_name_;
};

}  // namespace metaflow::detail
