// The untyped half of <metaflow/codec.h>: checked conversions.
#include <algorithm>
#include <cmath>
#include <limits>

#include <metaflow/caught.h>
#include <metaflow/codec.h>
#include <metaflow/detail/stored.h>

#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"
#include "value/nodes.h"

namespace metaflow::detail {

namespace {

/// "artifact 'points', item 3, 'x'"
std::string describe(const Place& place) {
  std::string own = place.name.empty() ? fmt::format("item {}", place.index) : fmt::format("'{}'", place.name);
  if (place.outer == nullptr) return place.name.empty() ? own : "artifact " + own;
  const std::string outer = place.outer->outer == nullptr && place.outer->name.empty() && place.outer->index == 0
                                ? ""
                                : describe(*place.outer);
  return outer.empty() ? own : outer + ", " + own;
}

bool is_anonymous(const Place& place) { return place.outer == nullptr && place.name.empty(); }

[[noreturn]] void fail(const Place& place, const std::string& what) {
  throw Error(ErrorCode::invalid_value, is_anonymous(place) ? what : fmt::format("{}: {}", describe(place), what));
}

std::string show(const Value& value) { return repr(value, 60); }

/// Checks the expansion of a container before everything below it is read.
void check_size(const Value& value, const Place& place) {
  if (is_excessive(value)) {
    fail(place, fmt::format("{} contains itself, or parts of it millions of times: it cannot be read as a whole",
                            show(value)));
  }
}

}  // namespace

void throw_mismatch(const Value& value, const Place& place, std::string_view wanted) {
  fail(place, fmt::format("{} of type {} does not fit {}", show(value), python_type(value), wanted));
}

void throw_wrong_size(const Value& value, const Place& place, std::size_t wanted) {
  fail(place, fmt::format("{} items instead of {}", value.size(), wanted));
}

bool boolean_from(const Value& given, const Place& place) {
  const Value value = scalar_of(given);
  if (value.kind() != Kind::boolean) throw_mismatch(value, place, "bool");
  return value.boolean();
}

std::int64_t integer_from(const Value& given, const Place& place, std::int64_t low, std::int64_t high) {
  const Value value = scalar_of(given);
  if (value.kind() == Kind::boolean) return value.boolean() ? 1 : 0;
  if (value.kind() == Kind::big_integer) fail(place, fmt::format("{} is beyond [{}, {}]", show(value), low, high));
  if (value.kind() != Kind::integer) throw_mismatch(value, place, "an integer");
  if (value.integer() < low || value.integer() > high)
    fail(place, fmt::format("{} is beyond [{}, {}]", value.integer(), low, high));
  return value.integer();
}

std::uint64_t unsigned_from(const Value& given, const Place& place, std::uint64_t high) {
  const Value value = scalar_of(given);
  if (value.kind() == Kind::boolean) return value.boolean() ? 1 : 0;
  if (value.kind() != Kind::integer && value.kind() != Kind::big_integer)
    throw_mismatch(value, place, "an unsigned integer");
  const auto number = value.unsigned_integer();
  if (!number || *number > high) fail(place, fmt::format("{} is beyond [0, {}]", show(value), high));
  return *number;
}

double real_from(const Value& given, const Place& place, double largest) {
  const Value value = scalar_of(given);
  double number = 0;
  switch (value.kind()) {
    case Kind::real: number = value.real(); break;
    case Kind::integer:
      number = static_cast<double>(value.integer());
      if (std::fabs(number) > 0x1p63 || static_cast<std::int64_t>(number == 0x1p63 ? 0 : number) != value.integer()) {
        fail(place, fmt::format("{} has no exact floating point value", value.integer()));
      }
      if (largest < std::numeric_limits<double>::max() && static_cast<double>(static_cast<float>(number)) != number)
        fail(place, fmt::format("{} has no exact value as float", value.integer()));
      break;
    default: throw_mismatch(value, place, "a floating point number");
  }
  if (std::isfinite(number) && std::fabs(number) > largest)
    fail(place, fmt::format("{} is beyond the range of float", number));
  return number;
}

void complex_from(const Value& given, const Place& place, double largest, double& real, double& imaginary) {
  const Value value = scalar_of(given);
  if (value.kind() != Kind::complex) {
    real = real_from(value, place, largest);
    imaginary = 0;
    return;
  }
  real = value.real();
  imaginary = value.imaginary();
  for (double part : {real, imaginary}) {
    if (std::isfinite(part) && std::fabs(part) > largest)
      fail(place, fmt::format("{} is beyond the range of float", show(value)));
  }
}

std::string_view text_from(const Value& given, const Place& place) {
  const Value value = scalar_of(given);
  if (value.kind() != Kind::text) throw_mismatch(value, place, "a text");
  const std::string_view text = value.text();
  if (base::find_invalid_utf8(text) != std::string_view::npos)
    fail(place, fmt::format("{} is not UTF-8: it has lone surrogates", show(value)));
  return text;
}

std::span<const std::byte> bytes_from(const Value& given, const Place& place) {
  const Value value = scalar_of(given);
  if (value.kind() != Kind::bytes) throw_mismatch(value, place, "bytes");
  return value.bytes();
}

void Convert<Bytes>::encode(Pickler& out, const Bytes& value) {
  out.bytes(std::as_bytes(std::span(value.data(), value.size())));
}
void Convert<Bytes>::decode(const Value& value, const Place& place, Bytes& into) {
  const auto bytes = bytes_from(value, place);
  into.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void Convert<std::vector<std::byte>>::encode(Pickler& out, const std::vector<std::byte>& value) { out.bytes(value); }
void Convert<std::vector<std::byte>>::decode(const Value& value, const Place& place, std::vector<std::byte>& into) {
  const auto bytes = bytes_from(value, place);
  into.assign(bytes.begin(), bytes.end());
}

std::size_t sequence_from(const Value& value, const Place& place) {
  const bool sequence = value.kind() == Kind::list || value.kind() == Kind::tuple ||
                        (value.kind() == Kind::array && !value.shape().empty());
  if (!sequence) throw_mismatch(value, place, "a list");
  check_size(value, place);
  return value.size();
}

std::size_t set_from(const Value& value, const Place& place) {
  if (value.kind() != Kind::set) throw_mismatch(value, place, "a set");
  check_size(value, place);
  return value.size();
}

std::size_t dict_from(const Value& value, const Place& place) {
  if (value.kind() != Kind::dict) throw_mismatch(value, place, "a dict");
  check_size(value, place);
  return value.size();
}

void tuple_from(const Value& value, const Place& place, std::size_t size) {
  if (value.kind() != Kind::tuple && value.kind() != Kind::list) throw_mismatch(value, place, "a tuple");
  check_size(value, place);
  if (value.size() != size) throw_wrong_size(value, place, size);
}

unsigned wider_categories(unsigned category) {
  switch (category) {
    case kInt: return kFloat | kComplex;
    case kFloat: return kComplex;
    case kList: return kTuple | kNdarray;
    case kTuple: return kList | kNdarray;
    case kNdarray: return kList;
    default: return 0;
  }
}

void encode_list(Pickler& out, const void* items, std::size_t count, std::size_t stride,
                 void (*encode)(const void* value, Pickler& out)) {
  out.begin_list();
  const auto* item = static_cast<const std::byte*>(items);
  for (std::size_t i = 0; i < count; ++i, item += stride) {
    out.next();
    encode(item, out);
  }
  out.end();
}

void decode_items(const Value& value, const Place& place, void* items, std::size_t count, std::size_t stride,
                  void (*decode)(void* into, const Value& value, const Place& place)) {
  auto* item = static_cast<std::byte*>(items);
  for (std::size_t i = 0; i < count; ++i, item += stride) decode(item, value[i], Place{&place, {}, i});
}

void encode_struct(Pickler& out, const StructMember* members, void* const* addresses, std::size_t count) {
  out.begin_dict();
  for (std::size_t i = 0; i < count; ++i) {
    out.next();
    out.identifier(members[i].name);
    members[i].encode(addresses[i], out);
  }
  out.end();
}

namespace {

// Rejects a struct with members that the type does not have: they would be lost.
void reject_other_members(const Value& value, const Place& place, const StructMember* members, std::size_t count) {
  if (value.size() <= count) return;  // member_from reports a missing member
  for (std::size_t i = 0; i < value.size(); ++i) {
    const Value key = value[i];
    const auto same = [&](const StructMember& member) { return member.name == key.text(); };
    if (key.kind() != Kind::text || std::none_of(members, members + count, same))
      fail(place, fmt::format("{} has {}, which is not a member of the struct", show(value), show(key)));
  }
  fail(place, fmt::format("{} has a member more than once", show(value)));
}

Value member_from(const Value& value, const Place& place, std::string_view name, std::size_t index) {
  // Members are usually in the order of their declaration.
  if (index < value.size()) {
    const Value key = value[index];
    if (key.kind() == Kind::text && key.text() == name) return value.mapped(index);
  }
  const auto found = value.find(name);
  if (!found) fail(place, fmt::format("{} has no '{}'", show(value), name));
  return *found;
}

}  // namespace

void decode_struct(const Value& value, const Place& place, const StructMember* members, void* const* addresses,
                   std::size_t count) {
  if (value.kind() != Kind::dict) throw_mismatch(value, place, "a struct");
  check_size(value, place);
  reject_other_members(value, place, members, count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view name = members[i].name;
    members[i].decode(addresses[i], member_from(value, place, name, i), Place{&place, name, 0});
  }
}

Category category_of(const Value& value) {
  switch (value.kind()) {
    case Kind::none: return kNone;
    case Kind::boolean: return kBool;
    case Kind::integer:
    case Kind::big_integer: return kInt;
    case Kind::real: return kFloat;
    case Kind::text: return kStr;
    case Kind::bytes: return kBytes;
    case Kind::list: return kList;
    case Kind::tuple: return kTuple;
    case Kind::set: return kSet;
    case Kind::dict: return kDict;
    case Kind::array: return kNdarray;
    case Kind::complex: return kComplex;
    case Kind::datetime: return kDatetime;
    case Kind::timedelta: return kTimedelta;
    case Kind::object: return kException;
  }
  return Category{};
}

// --- caught exceptions

void Convert<CaughtException>::encode(Pickler& out, const CaughtException& value) {
  out.begin_object("metaflow.exception", "MetaflowExceptionWrapper", 1, false);
  out.none();
  out.end();
  out.begin_state();
  out.begin_dict();
  for (const auto& [name, text] : {std::pair<const char*, const std::string&>{"exception", value.exception},
                                   {"type", value.type},
                                   {"stacktrace", value.stacktrace}}) {
    out.next();
    out.text(name);
    out.text(text);
  }
  out.end();
  out.end();
}

void Convert<CaughtException>::decode(const Value& value, const Place& place, CaughtException& into) {
  if (value.kind() != Kind::object) throw_mismatch(value, place, "a caught exception");
  for (const auto& [name, text] : {std::pair<const char*, std::string*>{"exception", &into.exception},
                                   {"type", &into.type},
                                   {"stacktrace", &into.stacktrace}}) {
    const auto found = value.find(name);
    if (!found) throw_mismatch(value, place, "a caught exception");
    *text = found->is_none() ? std::string() : std::string(text_from(*found, Place{&place, name, 0}));
  }
}

// --- durations and points in time: count x num / den seconds

namespace {

using Wide = __int128;

constexpr Wide kNanosecondsPerSecond = 1'000'000'000;

[[noreturn]] void throw_too_long() {
  throw Error(ErrorCode::invalid_value,
              "This duration is too long to be stored: more than 292,000 years, or not finite",
              "Store its count() instead.");
}

void put_nanoseconds(Pickler& out, Wide nanoseconds, bool time_point) {
  Wide microseconds = nanoseconds / 1000;
  Wide below = nanoseconds % 1000;
  if (below < 0) {
    below += 1000;
    --microseconds;
  }
  if (microseconds > INT64_MAX || microseconds < INT64_MIN) throw_too_long();
  if (time_point) {
    out.datetime_utc(static_cast<std::int64_t>(microseconds));
  } else {
    out.timedelta(static_cast<std::int64_t>(microseconds), static_cast<std::int64_t>(below));
  }
}

Wide nanoseconds_from(const Value& value, const Place& place, bool time_point) {
  if (value.kind() != (time_point ? Kind::datetime : Kind::timedelta))
    throw_mismatch(value, place, time_point ? "a point in time" : "a duration");
  return Wide{value.microseconds()} * 1000 + value.nanoseconds_below();
}

}  // namespace

void encode_ticks(Pickler& out, std::int64_t count, std::intmax_t num, std::intmax_t den, bool time_point) {
  Wide scaled = 0;
  if (__builtin_mul_overflow(Wide{count} * num, kNanosecondsPerSecond, &scaled)) throw_too_long();
  if (scaled % den != 0) {
    throw Error(ErrorCode::invalid_value, "This duration is not a whole number of nanoseconds",
                "Store its count() instead.");
  }
  put_nanoseconds(out, scaled / den, time_point);
}

void encode_ticks(Pickler& out, double count, std::intmax_t num, std::intmax_t den, bool time_point) {
  const double nanoseconds = count * static_cast<double>(num) / static_cast<double>(den) * 1e9;
  if (!(std::fabs(nanoseconds) < 1e22)) throw_too_long();
  put_nanoseconds(out, static_cast<Wide>(std::nearbyint(nanoseconds)), time_point);
}

std::int64_t integer_ticks_from(const Value& value, const Place& place, std::intmax_t num, std::intmax_t den,
                                std::int64_t low, std::int64_t high, bool time_point) {
  Wide scaled = 0;
  if (__builtin_mul_overflow(nanoseconds_from(value, place, time_point), Wide{den}, &scaled))
    fail(place, fmt::format("{} is beyond the range of the duration", show(value)));
  const Wide tick = kNanosecondsPerSecond * num;
  if (scaled % tick != 0)
    fail(place, fmt::format("{} is not a whole number of ticks of {}/{} s", show(value), num, den));
  const Wide count = scaled / tick;
  if (count < low || count > high) fail(place, fmt::format("{} is beyond the range of the duration", show(value)));
  return static_cast<std::int64_t>(count);
}

double real_ticks_from(const Value& value, const Place& place, std::intmax_t num, std::intmax_t den) {
  return static_cast<double>(nanoseconds_from(value, place, false)) / 1e9 * static_cast<double>(den) /
         static_cast<double>(num);
}

// --- Once

void Once::run(void (*f)(void*), void* context) {
  constexpr int kIdle = 0;
  constexpr int kRunning = 1;
  while (true) {
    int seen = kIdle;
    if (state_.compare_exchange_strong(seen, kRunning, std::memory_order_acquire)) break;
    if (seen == kDone) return;
    state_.wait(kRunning, std::memory_order_acquire);
  }
  try {
    f(context);
  } catch (...) {
    state_.store(kIdle, std::memory_order_release);
    state_.notify_all();
    throw;
  }
  state_.store(kDone, std::memory_order_release);
  state_.notify_all();
}

}  // namespace metaflow::detail
