#include <algorithm>
#include <bit>
#include <cstring>

#include <metaflow/detail/pickler.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"
#include "value/opcodes.h"

namespace metaflow::detail {

using namespace value::opcode;

namespace {

// Items per MARK...APPENDS, as in Python: a reader's stack stays small.
constexpr std::size_t kGroup = 1000;

// Longer texts and bytes are referenced instead of copied, if they live long enough.
constexpr std::size_t kReferenceFrom = 16 * 1024;

constexpr std::size_t kLargestChunk = std::size_t{256} << 20;
constexpr std::size_t kLargestNumber = 11;  // maximal bytes of an integer or a real

template <class T>
char* write_raw(char* at, T value) {
  std::memcpy(at, &value, sizeof value);
  return at + sizeof value;
}

char* write_integer(char* at, std::int64_t value) {
  if (value >= 0 && value <= 0xFF) {
    *at = kBinInt1;
    return write_raw(at + 1, static_cast<std::uint8_t>(value));
  }
  if (value >= 0 && value <= 0xFFFF) {
    *at = kBinInt2;
    return write_raw(at + 1, static_cast<std::uint16_t>(value));
  }
  if (value >= INT32_MIN && value <= INT32_MAX) {
    *at = kBinInt;
    return write_raw(at + 1, static_cast<std::int32_t>(value));
  }
  at[0] = kLong1;
  at[1] = 8;
  return write_raw(at + 2, value);
}

char* write_integer(char* at, std::uint64_t value) {
  if (value <= INT64_MAX) return write_integer(at, static_cast<std::int64_t>(value));
  at[0] = kLong1;
  at[1] = 9;
  at = write_raw(at + 2, value);
  *at = 0;
  return at + 1;
}

char* write_real(char* at, double value) {
  *at = kBinFloat;
  return write_raw(at + 1, __builtin_bswap64(std::bit_cast<std::uint64_t>(value)));
}

template <class T>
char* write_number(char* at, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    return write_real(at, static_cast<double>(value));
  } else if constexpr (std::is_signed_v<T>) {
    return write_integer(at, static_cast<std::int64_t>(value));
  } else {
    return write_integer(at, static_cast<std::uint64_t>(value));
  }
}

}  // namespace

// --- the bytes

Pickler::Pickler() : Pickler(ValuesOutlive{}) { copying_ = 1; }

Pickler::Pickler(ValuesOutlive) {
  piece_ = at_ = first_chunk_.data();
  end_ = piece_ + kFirstChunk;
  put(kProto);
  put(4);
}

void Pickler::finish_piece() {
  if (at_ == piece_) return;
  const std::span<const char> piece(piece_, at_);
  pieces_.push_back(std::as_bytes(piece));
  finished_ += piece.size();
  piece_ = at_;
}

void Pickler::add_chunk(std::size_t size) {
  finish_piece();
  // Each chunk is as large as all before it, so that a long payload has few pieces: contiguous ones are hashed fastest.
  chunk_size_ = std::max(std::min(chunk_size_ * 2, kLargestChunk), size);
  chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_size_));
  piece_ = at_ = chunks_.back().get();
  end_ = piece_ + chunk_size_;
}

void Pickler::put(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(room(bytes.size()), bytes.data(), bytes.size());
  at_ += bytes.size();
}

void Pickler::put_reference(std::span<const std::byte> bytes) {
  if (copying_ > 0) return put(base::as_text(bytes));
  finish_piece();
  if (!bytes.empty()) pieces_.push_back(bytes);
  finished_ += bytes.size();
}

void Pickler::put_text(std::string_view utf8) {
  char* at = room(9);
  if (utf8.size() <= 0xFF) {
    *at = kShortBinUnicode;
    at_ = write_raw(at + 1, static_cast<std::uint8_t>(utf8.size()));
  } else if (utf8.size() <= 0xFFFFFFFF) {
    *at = kBinUnicode;
    at_ = write_raw(at + 1, static_cast<std::uint32_t>(utf8.size()));
  } else {
    *at = kBinUnicode8;
    at_ = write_raw(at + 1, std::uint64_t{utf8.size()});
  }
  utf8.size() < kReferenceFrom ? put(utf8) : put_reference(base::as_bytes(utf8));
}

void Pickler::put_bytes(std::span<const std::byte> bytes, std::size_t alignment) {
  if (bytes.size() < kReferenceFrom && alignment == 1) {
    char* at = room(5);
    if (bytes.size() <= 0xFF) {
      *at = kShortBinBytes;
      at_ = write_raw(at + 1, static_cast<std::uint8_t>(bytes.size()));
    } else {
      *at = kBinBytes;
      at_ = write_raw(at + 1, static_cast<std::uint32_t>(bytes.size()));
    }
    return put(base::as_text(bytes));
  }
  // Pairs of opcodes without effect align the data: NONE POP has two bytes, BININT1 x POP three.
  constexpr std::size_t kHeader = 9;
  std::size_t padding = (alignment - (size() + kHeader) % alignment) % alignment;
  if (padding == 1) padding += alignment;
  if (padding % 2 == 1) {
    for (char c : {kBinInt1, '\0', kPop}) put(c);
    padding -= 3;
  }
  for (; padding > 0; padding -= 2) {
    put(kNone);
    put(kPop);
  }
  char* at = room(kHeader);
  *at = kBinBytes8;
  at_ = write_raw(at + 1, std::uint64_t{bytes.size()});
  put_reference(bytes);
}

void Pickler::finish() { put(kStop); }

std::vector<std::span<const std::byte>> Pickler::parts() const {
  std::vector<std::span<const std::byte>> parts;
  parts.reserve(pieces_.size() + 1);
  parts = pieces_;
  if (at_ != piece_) parts.push_back(std::as_bytes(std::span<const char>(piece_, at_)));
  return parts;
}

// --- values

void Pickler::none() {
  note_type("<class 'NoneType'>");
  put(kNone);
}

void Pickler::boolean(bool value) {
  note_type("<class 'bool'>");
  put(value ? kTrue : kFalse);
}

void Pickler::integer(std::int64_t value) {
  note_type("<class 'int'>");
  at_ = write_integer(room(kLargestNumber), value);
}

void Pickler::unsigned_integer(std::uint64_t value) {
  note_type("<class 'int'>");
  at_ = write_integer(room(kLargestNumber), value);
}

void Pickler::big_integer(std::span<const std::byte> magnitude) {
  note_type("<class 'int'>");
  char* at = room(5);
  if (magnitude.size() <= 0xFF) {
    *at = kLong1;
    at_ = write_raw(at + 1, static_cast<std::uint8_t>(magnitude.size()));
  } else if (magnitude.size() <= INT32_MAX) {
    *at = kLong4;
    at_ = write_raw(at + 1, static_cast<std::uint32_t>(magnitude.size()));
  } else {
    throw Error(ErrorCode::invalid_value, fmt::format("An int of {} bytes cannot be stored", magnitude.size()));
  }
  put(base::as_text(magnitude));
}

void Pickler::real(double value) {
  note_type("<class 'float'>");
  at_ = write_real(room(kLargestNumber), value);
}

void Pickler::complex(double real_part, double imaginary) {
  note_type("<class 'complex'>");
  global("builtins", "complex");
  real(real_part);
  real(imaginary);
  put(kTuple2);
  put(kReduce);
}

void Pickler::text(std::string_view utf8) {
  note_type("<class 'str'>");
  const std::size_t bad = base::find_invalid_utf8(utf8);
  if (bad != std::string_view::npos) {
    throw Error(ErrorCode::invalid_value,
                fmt::format("This text is not UTF-8: byte {} of {} is 0x{:02x}", bad, utf8.size(),
                            static_cast<unsigned char>(utf8[bad])),
                "Bytes that are not text belong into an mf::Bytes, which is bytes in Python.");
  }
  put_text(utf8);
}

void Pickler::identifier(std::string_view name) {
  note_type("<class 'str'>");
  put_text(name);
}

void Pickler::bytes(std::span<const std::byte> bytes) {
  note_type("<class 'bytes'>");
  put_bytes(bytes, 1);
}

void Pickler::global(std::string_view module, std::string_view name) {
  put_text(module);
  put_text(name);
  put(kStackGlobal);
}

// --- containers

void Pickler::begin_list() {
  note_type("<class 'list'>");
  put(kEmptyList);
  frames_.push_back({Open::list});
}

void Pickler::begin_set() {
  note_type("<class 'set'>");
  put(kEmptySet);
  frames_.push_back({Open::set});
}

void Pickler::begin_frozen_set() {
  note_type("<class 'frozenset'>");
  put(kMark);
  frames_.push_back({Open::frozen_set});
}

void Pickler::begin_dict() {
  note_type("<class 'dict'>");
  put(kEmptyDict);
  frames_.push_back({Open::dict});
}

void Pickler::begin_tuple(std::size_t size) {
  note_type("<class 'tuple'>");
  if (size > 3) put(kMark);
  frames_.push_back({.what = Open::tuple, .arity = size});
}

void Pickler::begin_object(std::string_view module, std::string_view name, std::size_t arguments, bool with_new) {
  if (type_.empty()) {
    class_name_ = fmt::format("<class '{}.{}'>", module, name);
    type_ = class_name_;
  }
  global(module, name);
  if (arguments > 3) put(kMark);
  frames_.push_back({.what = with_new ? Open::object_new : Open::object_call, .arity = arguments});
}

void Pickler::begin_state() { frames_.push_back({Open::state}); }

void Pickler::close_item() {
  if (recording_ && frames_.size() == 1 && frames_[0].count > 0) items_.back().end = size();
}

void Pickler::next() {
  close_item();
  Frame& frame = frames_.back();
  const bool grouped = frame.what == Open::list || frame.what == Open::set || frame.what == Open::dict;
  if (grouped) {
    if (frame.group == kGroup) {
      put(frame.what == Open::list ? kAppends : frame.what == Open::set ? kAddItems : kSetItems);
      frame.group = 0;
    }
    if (frame.group == 0) put(kMark);
    ++frame.group;
  }
  ++frame.count;
  if (recording_ && frames_.size() == 1) items_.push_back({size(), 0});
}

void Pickler::end() {
  close_item();
  const Frame frame = frames_.back();
  frames_.pop_back();
  switch (frame.what) {
    case Open::list:
      if (frame.group > 0) put(kAppends);
      break;
    case Open::set:
      if (frame.group > 0) put(kAddItems);
      break;
    case Open::frozen_set: put(kFrozenSet); break;
    case Open::dict:
      if (frame.group > 0) put(kSetItems);
      break;
    case Open::tuple:
    case Open::object_call:
    case Open::object_new:
      switch (frame.arity) {
        case 0: put(kEmptyTuple); break;
        case 1: put(kTuple1); break;
        case 2: put(kTuple2); break;
        case 3: put(kTuple3); break;
        default: put(kTuple);
      }
      if (frame.what == Open::object_call) put(kReduce);
      if (frame.what == Open::object_new) put(kNewObj);
      break;
    case Open::state: put(kBuild); break;
  }
}

template <class T>
void Pickler::list_of(std::span<const T> numbers) {
  begin_list();
  if (recording_ && frames_.size() == 1) {
    for (T number : numbers) {
      next();
      at_ = write_number(room(kLargestNumber), number);
    }
  } else {
    for (std::size_t begin = 0; begin < numbers.size(); begin += kGroup) {
      const auto group = numbers.subspan(begin, std::min(kGroup, numbers.size() - begin));
      char* at = room(group.size() * kLargestNumber + 2);
      *at++ = kMark;
      for (T number : group) at = write_number(at, number);
      *at++ = kAppends;
      at_ = at;
    }
  }
  end();
}

void Pickler::list_of_numbers(char type, std::size_t item_size, const void* numbers, std::size_t count) {
  auto as = [&]<class T>(T) { list_of(std::span(static_cast<const T*>(numbers), count)); };
  if (type == 'f') return item_size == 4 ? as(float{}) : as(double{});
  switch (item_size) {
    case 1: return type == 'i' ? as(std::int8_t{}) : as(std::uint8_t{});
    case 2: return type == 'i' ? as(std::int16_t{}) : as(std::uint16_t{});
    case 4: return type == 'i' ? as(std::int32_t{}) : as(std::uint32_t{});
    default: return type == 'i' ? as(std::int64_t{}) : as(std::uint64_t{});
  }
}

}  // namespace metaflow::detail
