// The part of Pickler that writes instances of Python classes: dates, times, arrays.
#include <array>

#include <metaflow/detail/pickler.h>
#include <metaflow/error.h>
#include <metaflow/value.h>

#include "base/format.h"
#include "value/calendar.h"
#include "value/opcodes.h"

namespace metaflow::detail {

using namespace value::opcode;

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
    real(static_cast<double>(rest % 1'000'000) +
         static_cast<double>(nanoseconds_below) / 1000);  // Python rounds it to microseconds
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

void Pickler::array(char type, std::size_t item_size, std::span<const std::size_t> shape,
                    std::span<const std::byte> data) {
  ArrayView view;
  view.type = type;
  view.item_size = item_size;
  view.shape = shape;
  view.bytes = data;
  array(view);
}

void Pickler::array(const ArrayView& view) {
  constexpr std::size_t kAlignment = 64;
  note_type("<class 'numpy.ndarray'>");
  // numpy.ndarray((0,), 'b').__setstate__((1, shape, numpy.dtype('f8'), False, data)): public names only, the same in
  // numpy 1 and 2.
  global("numpy", "ndarray");
  integer(0);
  put(kTuple1);
  put_text("b");
  put(kTuple2);
  put(kReduce);
  put(kMark);
  integer(1);
  begin_tuple(view.shape.size());
  for (std::size_t size : view.shape) unsigned_integer(size);
  end();
  global("numpy", "dtype");
  const std::size_t size = view.type == 'U' ? view.item_size / 4 : view.item_size;
  put_text(fmt::format("{}{}{}{}", view.big_endian ? ">" : "", view.type, size, view.unit));
  put(kTuple1);
  put(kReduce);
  put(view.column_major ? kTrue : kFalse);
  put_bytes(view.bytes, kAlignment);
  put(kTuple);
  put(kBuild);
}

}  // namespace metaflow::detail
