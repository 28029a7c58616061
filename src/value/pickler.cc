#include <metaflow/detail/pickler.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <metaflow/error.h>

#include "base/text.h"
#include "value/calendar.h"

namespace metaflow::detail {

namespace {

// Opcodes of CPython's Lib/pickle.py.
constexpr char kProto = '\x80', kMark = '(', kStop = '.', kPop = '0', kNone = 'N', kTrue = '\x88', kFalse = '\x89';
constexpr char kBinInt = 'J', kBinInt1 = 'K', kBinInt2 = 'M', kLong1 = '\x8a', kBinFloat = 'G';
constexpr char kShortBinUnicode = '\x8c', kBinUnicode = 'X', kBinUnicode8 = '\x8d';
constexpr char kShortBinBytes = 'C', kBinBytes = 'B', kBinBytes8 = '\x8e';
constexpr char kEmptyList = ']', kAppends = 'e', kEmptySet = '\x8f', kAddItems = '\x90', kEmptyDict = '}',
               kSetItems = 'u';
constexpr char kEmptyTuple = ')', kTuple1 = '\x85', kTuple2 = '\x86', kTuple3 = '\x87', kTuple = 't';
constexpr char kStackGlobal = '\x93', kReduce = 'R', kNewObj = '\x81', kBuild = 'b';

// Items per MARK...APPENDS, as in Python: a reader's stack stays small.
constexpr std::size_t kBatch = 1000;

// Longer texts and bytes are referred to, not copied.
constexpr std::size_t kForeignFrom = 16 * 1024;

constexpr std::size_t kAlignment = 64;

}  // namespace

Pickler::Pickler() { own_ += {kProto, '\x04'}; }

void Pickler::put_u32(std::uint32_t value) {
  std::array<char, 4> raw;
  std::memcpy(raw.data(), &value, raw.size());
  own_.append(raw.data(), raw.size());
}

void Pickler::put_u64(std::uint64_t value) {
  std::array<char, 8> raw;
  std::memcpy(raw.data(), &value, raw.size());
  own_.append(raw.data(), raw.size());
}

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
  if (value >= 0 && value <= 0xFF) {
    put(kBinInt1);
    put(static_cast<char>(value));
  } else if (value >= 0 && value <= 0xFFFF) {
    put(kBinInt2);
    put(static_cast<char>(value & 0xFF));
    put(static_cast<char>(value >> 8));
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    put(kBinInt);
    put_u32(static_cast<std::uint32_t>(value));
  } else {
    put(kLong1);
    put(8);
    put_u64(static_cast<std::uint64_t>(value));
  }
}

void Pickler::unsigned_integer(std::uint64_t value) {
  if (value <= INT64_MAX) return integer(static_cast<std::int64_t>(value));
  note_type("<class 'int'>");
  put(kLong1);
  put(9);
  put_u64(value);
  put(0);
}

void Pickler::real(double value) {
  note_type("<class 'float'>");
  const std::uint64_t big_endian = __builtin_bswap64(std::bit_cast<std::uint64_t>(value));
  put(kBinFloat);
  put_u64(big_endian);
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
  if (utf8.size() <= 0xFF) {
    put(kShortBinUnicode);
    put(static_cast<char>(utf8.size()));
  } else if (utf8.size() <= 0xFFFFFFFF) {
    put(kBinUnicode);
    put_u32(static_cast<std::uint32_t>(utf8.size()));
  } else {
    put(kBinUnicode8);
    put_u64(utf8.size());
  }
  if (utf8.size() < kForeignFrom) {
    own_ += utf8;
  } else {
    foreign_.push_back({own_.size(), base::as_bytes(utf8)});
    foreign_size_ += utf8.size();
  }
}

void Pickler::bytes(std::span<const std::byte> bytes) {
  note_type("<class 'bytes'>");
  put_bytes(bytes, 1);
}

void Pickler::put_bytes(std::span<const std::byte> bytes, std::size_t alignment) {
  if (bytes.size() < kForeignFrom && alignment == 1) {
    if (bytes.size() <= 0xFF) {
      put(kShortBinBytes);
      put(static_cast<char>(bytes.size()));
    } else {
      put(kBinBytes);
      put_u32(static_cast<std::uint32_t>(bytes.size()));
    }
    own_ += base::as_text(bytes);
    return;
  }
  // Pairs of opcodes that do nothing move the data to where it is aligned: NONE POP has two bytes, BININT1 x POP three.
  constexpr std::size_t kHeader = 9;
  std::size_t padding = (alignment - (size() + kHeader) % alignment) % alignment;
  if (padding == 1) padding += alignment;
  if (padding % 2 == 1) {
    own_ += {kBinInt1, '\0', kPop};
    padding -= 3;
  }
  for (; padding > 0; padding -= 2) own_ += {kNone, kPop};
  put(kBinBytes8);
  put_u64(bytes.size());
  foreign_.push_back({own_.size(), bytes});
  foreign_size_ += bytes.size();
}

void Pickler::global(std::string_view module, std::string_view name) {
  for (std::string_view word : {module, name}) {
    put(kShortBinUnicode);
    put(static_cast<char>(word.size()));
    own_ += word;
  }
  put(kStackGlobal);
}

void Pickler::timedelta(std::int64_t microseconds, std::int64_t nanoseconds_below) {
  note_type("<class 'datetime.timedelta'>");
  constexpr std::int64_t kDay = 86'400'000'000;
  std::int64_t days = microseconds / kDay;
  std::int64_t rest = microseconds % kDay;
  if (rest < 0) {
    rest += kDay;
    --days;
  }
  global("datetime", "timedelta");
  integer(days);
  integer(rest / 1'000'000);
  if (nanoseconds_below == 0) {
    integer(rest % 1'000'000);
  } else {
    real(static_cast<double>(rest % 1'000'000) + static_cast<double>(nanoseconds_below) / 1000);  // Python rounds it
  }
  put(kTuple3);
  put(kReduce);
}

void Pickler::datetime_utc(std::int64_t microseconds_since_1970) {
  note_type("<class 'datetime.datetime'>");
  const auto t = value::date_time_of(microseconds_since_1970);
  if (t.year < 1 || t.year > 9999) {
    throw Error(ErrorCode::invalid_value, fmt::format("The year {} is beyond Python's datetime (1 to 9999)", t.year));
  }
  const std::array<std::int64_t, 10> state{t.year >> 8,
                                           t.year & 255,
                                           t.month,
                                           t.day,
                                           t.hour,
                                           t.minute,
                                           t.second,
                                           t.microsecond >> 16,
                                           t.microsecond >> 8 & 255,
                                           t.microsecond & 255};
  global("datetime", "datetime");
  put(kShortBinBytes);
  put(static_cast<char>(state.size()));
  for (std::int64_t byte : state) put(static_cast<char>(byte));
  global("datetime", "timezone");
  timedelta(0, 0);
  put(kTuple1);
  put(kReduce);
  put(kTuple2);
  put(kReduce);
}

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
  const bool batched = frame.what == Open::list || frame.what == Open::set || frame.what == Open::dict;
  if (batched) {
    if (frame.batch == kBatch) {
      put(frame.what == Open::list ? kAppends : frame.what == Open::set ? kAddItems : kSetItems);
      frame.batch = 0;
    }
    if (frame.batch == 0) put(kMark);
    ++frame.batch;
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
      if (frame.batch > 0) put(kAppends);
      break;
    case Open::set:
      if (frame.batch > 0) put(kAddItems);
      break;
    case Open::dict:
      if (frame.batch > 0) put(kSetItems);
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

void Pickler::list_of_reals(std::span<const double> values) {
  begin_list();
  if (recording_ && frames_.size() == 1) {
    for (double value : values) {
      next();
      real(value);
    }
    return end();
  }
  for (std::size_t begin = 0; begin < values.size(); begin += kBatch) {
    const auto batch = values.subspan(begin, std::min(kBatch, values.size() - begin));
    put(kMark);
    std::size_t at = own_.size();
    own_.resize(at + batch.size() * 9);
    for (double value : batch) {
      const std::uint64_t big_endian = __builtin_bswap64(std::bit_cast<std::uint64_t>(value));
      own_[at] = kBinFloat;
      std::memcpy(&own_[at + 1], &big_endian, 8);
      at += 9;
    }
    put(kAppends);
  }
  end();
}

void Pickler::list_of_integers(std::span<const std::int64_t> values) {
  begin_list();
  own_.reserve(own_.size() + values.size() * 3);
  for (std::int64_t value : values) {
    next();
    integer(value);
  }
  end();
}

void Pickler::array(char type, std::size_t item_size, std::span<const std::size_t> shape,
                    std::span<const std::byte> data) {
  note_type("<class 'numpy.ndarray'>");
  auto shape_tuple = [&] {
    begin_tuple(shape.size());
    for (std::size_t size : shape) {
      next();
      unsigned_integer(size);
    }
    end();
  };
  // numpy.ndarray((0,), 'b').__setstate__((1, shape, numpy.dtype('f8'), False, data)): public names only, the same in
  // numpy 1 and 2.
  global("numpy", "ndarray");
  integer(0);
  put(kTuple1);
  text("b");
  put(kTuple2);
  put(kReduce);
  put(kMark);
  integer(1);
  shape_tuple();
  global("numpy", "dtype");
  text(fmt::format("{}{}", type, item_size));
  put(kTuple1);
  put(kReduce);
  put(kFalse);
  put_bytes(data, kAlignment);
  put(kTuple);
  put(kBuild);
}

void Pickler::finish() { put(kStop); }

std::vector<std::span<const std::byte>> Pickler::parts() const {
  std::vector<std::span<const std::byte>> parts;
  parts.reserve(foreign_.size() * 2 + 1);
  const auto own = base::as_bytes(own_);
  std::size_t at = 0;
  for (const Foreign& foreign : foreign_) {
    if (foreign.at > at) parts.push_back(own.subspan(at, foreign.at - at));
    at = foreign.at;
    if (!foreign.bytes.empty()) parts.push_back(foreign.bytes);
  }
  if (at < own.size()) parts.push_back(own.subspan(at));
  return parts;
}

}  // namespace metaflow::detail
