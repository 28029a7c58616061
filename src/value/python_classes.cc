#include "value/python_classes.h"

#include <array>
#include <cmath>
#include <vector>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"
#include "value/calendar.h"
#include "value/nodes.h"
#include "value/unpickler.h"

namespace metaflow::value {

using detail::ArrayNode;
using detail::DictNode;
using detail::ListNode;
using detail::ObjectNode;
using detail::ValueBuilder;

constexpr const char* kUnknownClassHint =
    "C++ reads numbers, texts, bytes, containers, numpy arrays, dates and times; store one of those.";

void fail_unknown(const std::string& what) {
  throw Error(ErrorCode::invalid_value, "Cannot read a pickled value: " + what, kUnknownClassHint);
}

bool is_of_unknown_class(const Error& error) { return error.hint() == kUnknownClassHint; }

void fail_pickle(const std::string& what) {
  throw Error(ErrorCode::invalid_value, "Cannot read a pickled value: " + what);
}

namespace {

/// The effect of calling a known class.
enum class Class : std::uint8_t {
  ndarray,      // numpy.ndarray((0,), 'b'), filled by BUILD
  reconstruct,  // _reconstruct(numpy.ndarray, (0,), b'b')
  from_buffer,  // _frombuffer(bytes, dtype, shape, order[, axes]), protocol 5
  scalar,       // scalar(dtype, bytes)
  dtype,        // numpy.dtype('f8', False, True), completed by BUILD
  encode,       // _codecs.encode(text, 'latin1'): bytes, protocol 2
  datetime,
  date,
  timedelta,
  timezone,
  complex_number,
  set,
  byte_string,
  dict,
  path,
  plain,  // kept as an object with arguments and state
};

struct Known {
  std::string_view name;
  Class what;
};

constexpr std::array kKnown{
    Known{"numpy.ndarray", Class::ndarray},
    Known{"numpy.dtype", Class::dtype},
    Known{"numpy.core.multiarray._reconstruct", Class::reconstruct},
    Known{"numpy._core.multiarray._reconstruct", Class::reconstruct},
    Known{"numpy.core.multiarray.scalar", Class::scalar},
    Known{"numpy._core.multiarray.scalar", Class::scalar},
    Known{"numpy.core.numeric._frombuffer", Class::from_buffer},
    Known{"numpy._core.numeric._frombuffer", Class::from_buffer},
    Known{"_codecs.encode", Class::encode},
    Known{"datetime.datetime", Class::datetime},
    Known{"datetime.date", Class::date},
    Known{"datetime.timedelta", Class::timedelta},
    Known{"datetime.timezone", Class::timezone},
    Known{"builtins.complex", Class::complex_number},
    Known{"__builtin__.complex", Class::complex_number},
    Known{"builtins.set", Class::set},
    Known{"__builtin__.set", Class::set},
    Known{"builtins.frozenset", Class::set},
    Known{"__builtin__.frozenset", Class::set},
    Known{"builtins.bytearray", Class::byte_string},
    Known{"__builtin__.bytearray", Class::byte_string},
    Known{"builtins.bytes", Class::byte_string},
    Known{"__builtin__.bytes", Class::byte_string},
    Known{"collections.OrderedDict", Class::dict},
    Known{"collections.defaultdict", Class::dict},
    Known{"collections.Counter", Class::dict},
    // The usual factories of a defaultdict.
    Known{"builtins.bool", Class::plain},
    Known{"builtins.int", Class::plain},
    Known{"builtins.float", Class::plain},
    Known{"builtins.str", Class::plain},
    Known{"builtins.list", Class::plain},
    Known{"builtins.dict", Class::plain},
    Known{"__builtin__.bool", Class::plain},
    Known{"__builtin__.int", Class::plain},
    Known{"__builtin__.float", Class::plain},
    Known{"__builtin__.str", Class::plain},
    Known{"__builtin__.list", Class::plain},
    Known{"__builtin__.dict", Class::plain},
    Known{"pathlib.PosixPath", Class::path},
    Known{"pathlib.PurePosixPath", Class::path},
    Known{"pathlib.Path", Class::path},
    Known{"pathlib._local.PosixPath", Class::path},
    Known{"pathlib._local.PurePosixPath", Class::path},
    Known{"__main__.ForeachFrame", Class::plain},
    Known{"metaflow.tuple_util.ForeachFrame", Class::plain},
    Known{"metaflow.exception.MetaflowExceptionWrapper", Class::plain},
    Known{"metaflow.includefile.IncludedFile", Class::plain},
};

const Known* find_known(std::string_view name) {
  for (const Known& known : kKnown) {
    if (name == known.name) return &known;
  }
  return nullptr;
}

double number(const Value& value) {
  switch (value.kind()) {
    case Kind::boolean: return value.boolean() ? 1 : 0;
    case Kind::integer: return static_cast<double>(value.integer());
    case Kind::real: return value.real();
    default: fail_pickle("a number is invalid");
  }
}

std::int64_t small_integer(const Value& arguments, std::size_t index, std::int64_t low, std::int64_t high,
                           std::int64_t otherwise) {
  if (index >= arguments.size()) return otherwise;
  const Value value = arguments[index];
  if (value.kind() != Kind::integer || value.integer() < low || value.integer() > high)
    fail_pickle("a date or time is out of range");
  return value.integer();
}

/// timedelta(days, seconds, microseconds); the last may be a float (our own nanoseconds).
Value timedelta(const Value& arguments) {
  constexpr std::int64_t kMaxDays = 999'999'999;
  std::int64_t nanoseconds = 0;
  std::int64_t microseconds = 0;
  if (arguments.size() > 2 && arguments[2].kind() == Kind::real) {
    const double real = arguments[2].real();
    if (!(std::fabs(real) < 1e15)) fail_pickle("a timedelta is out of range");
    microseconds = static_cast<std::int64_t>(std::floor(real));
    nanoseconds = std::llround((real - static_cast<double>(microseconds)) * 1000);
    if (nanoseconds == 1000) {
      nanoseconds = 0;
      ++microseconds;
    }
  } else {
    microseconds = small_integer(arguments, 2, -1'000'000'000'000'000, 1'000'000'000'000'000, 0);
  }
  const std::int64_t days = small_integer(arguments, 0, -kMaxDays, kMaxDays, 0);
  const std::int64_t seconds = small_integer(arguments, 1, -1'000'000'000'000, 1'000'000'000'000, 0);
  std::int64_t total = 0;
  if (__builtin_mul_overflow(days * 86400 + seconds, std::int64_t{1'000'000}, &total) ||
      __builtin_add_overflow(total, microseconds, &total)) {
    fail_pickle("a timedelta is out of range");
  }
  return ValueBuilder::timedelta(total, nanoseconds);
}

/// datetime(state[, tz]) with Python's ten bytes of state, or datetime(year, month, day, ...).
Value datetime(const Value& arguments) {
  std::int64_t offset = 0;
  Value zone;
  std::int64_t at = 0;
  if (arguments.size() >= 1 && arguments[0].kind() == Kind::bytes) {
    const auto b = arguments[0].bytes();
    if (b.size() != 10) fail_pickle("a datetime is invalid");
    auto byte = [&](std::size_t i) { return std::to_integer<std::int64_t>(b[i]); };
    const std::int64_t month = byte(2) & 0x7F;  // the top bit is "fold"
    if (month < 1 || month > 12 || byte(3) < 1 || byte(3) > 31 || byte(4) > 23 || byte(5) > 59 || byte(6) > 59)
      fail_pickle("a datetime is invalid");
    at = microseconds_of(
        {byte(0) << 8 | byte(1), month, byte(3), byte(4), byte(5), byte(6), byte(7) << 16 | byte(8) << 8 | byte(9)});
    if (arguments.size() > 1) zone = arguments[1];
  } else {
    at = microseconds_of({small_integer(arguments, 0, 1, 9999, 1970), small_integer(arguments, 1, 1, 12, 1),
                          small_integer(arguments, 2, 1, 31, 1), small_integer(arguments, 3, 0, 23, 0),
                          small_integer(arguments, 4, 0, 59, 0), small_integer(arguments, 5, 0, 59, 0),
                          small_integer(arguments, 6, 0, 999'999, 0)});
    if (arguments.size() > 7) zone = arguments[7];
  }
  if (zone.class_name() == "datetime.timezone" && zone.size() > 0 && zone[0].kind() == Kind::timedelta) {
    constexpr std::int64_t kDay = 86'400'000'000;
    offset = zone[0].microseconds();
    if (offset <= -kDay || offset >= kDay) fail_pickle("a time zone is out of range");
  } else if (!zone.is_none() && zone.class_name() != "datetime.timezone") {
    fail_pickle("a datetime has a time zone that is not supported");
  }
  return ValueBuilder::datetime(at - offset);
}

Value date(const Value& arguments) {
  if (arguments.size() != 1 || arguments[0].kind() != Kind::bytes || arguments[0].bytes().size() != 4)
    fail_pickle("a date is invalid");
  const auto b = arguments[0].bytes();
  auto byte = [&](std::size_t i) { return std::to_integer<std::int64_t>(b[i]); };
  if (byte(2) < 1 || byte(2) > 12 || byte(3) < 1 || byte(3) > 31) fail_pickle("a date is invalid");
  return ValueBuilder::datetime(microseconds_of({byte(0) << 8 | byte(1), byte(2), byte(3), 0, 0, 0, 0}));
}

}  // namespace

void PythonClasses::charge(std::uint64_t values) {
  if (values > budget_) fail_pickle("it expands its parts far beyond their size");
  budget_ -= values;
}

/// text.encode('latin1'): how protocol 2 writes bytes.
Value PythonClasses::latin1(const Value& arguments) {
  if (arguments.size() != 2 || arguments[0].kind() != Kind::text) fail_pickle("bytes are invalid");
  const std::string_view text = arguments[0].text();
  charge(1 + text.size() / 16);
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      bytes += text[i];
    } else if ((c == 0xC2 || c == 0xC3) && i + 1 < text.size()) {
      bytes += static_cast<char>((c & 3U) << 6 | (static_cast<unsigned char>(text[++i]) & 63U));
    } else {
      fail_pickle("bytes are invalid");
    }
  }
  return ValueBuilder::bytes(base::as_bytes(arena_.keep(bytes)));
}

Value PythonClasses::path(const Value& arguments) {
  std::string joined;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].kind() != Kind::text) fail_pickle("a path is invalid");
    const std::string_view part = arguments[i].text();
    charge(1 + part.size() / 16);
    if (part.starts_with('/')) {
      joined = part;
    } else {
      if (!joined.empty() && joined.back() != '/') joined += '/';
      joined += part;
    }
  }
  return ValueBuilder::text(arena_.keep(joined.empty() ? "." : joined));
}

Value PythonClasses::set(const Value& arguments) {
  ListNode& node = arena_.list();
  if (arguments.size() > 0) {
    const Value items = arguments[0];
    if (items.kind() != Kind::list && items.kind() != Kind::tuple) fail_pickle("a set is invalid");
    charge(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Value item = items[i];
      arena_.append(node, {&item, 1});
    }
  }
  return ValueBuilder::list(Kind::set, &node);
}

Value PythonClasses::dict(const Value& arguments) {
  // OrderedDict(), defaultdict(factory), Counter(dict); in protocol 2 OrderedDict(pairs)
  if (arguments.size() > 0 && arguments[0].kind() == Kind::dict) return arguments[0];
  DictNode& node = arena_.dict();
  if (arguments.size() > 0 && arguments[0].kind() != Kind::object && !arguments[0].is_none()) {
    const Value pairs = arguments[0];
    if (pairs.kind() != Kind::list) fail_pickle("a dict is invalid");
    charge(2 * pairs.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const Value pair = pairs[i];
      if ((pair.kind() != Kind::list && pair.kind() != Kind::tuple) || pair.size() != 2)
        fail_pickle("a dict is invalid");
      const std::array item{pair[0], pair[1]};
      arena_.append(node, item);
    }
  }
  return ValueBuilder::dict(&node);
}

Value PythonClasses::object(std::string_view class_name, const Value& arguments) {
  ObjectNode& node = arena_.object();
  node.class_name = class_name;
  if (arguments.kind() == Kind::tuple && arguments.size() > 0) {
    charge(arguments.size());
    std::vector<Value> copy;
    for (std::size_t i = 0; i < arguments.size(); ++i) copy.push_back(arguments[i]);
    node.arguments = arena_.keep(std::span<const Value>(copy));
  }
  return ValueBuilder::object(&node);
}

Value PythonClasses::global(std::string_view module, std::string_view name) {
  const std::string full = fmt::format("{}.{}", module, name);
  if (const Known* known = find_known(full)) {
    const Value reference = object(known->name, Value());
    ValueBuilder::object_of(reference)->is_class = true;
    return reference;
  }
  fail_unknown(fmt::format("it refers to the Python class or function '{}'", base::replace_invalid_utf8(full)));
}

Value PythonClasses::call(const Value& callable, const Value& arguments) {
  if (arguments.kind() != Kind::tuple) fail_pickle("a class is called without a tuple of arguments");
  if (!detail::is_class(callable)) fail_pickle("it calls an object that is not a class");
  const Known* known = find_known(callable.class_name());
  if (known == nullptr) fail_pickle("it calls an object that is not a class");
  switch (known->what) {
    case Class::ndarray:
    case Class::reconstruct: {
      ArrayNode& node = arena_.array();  // filled by set_array_state; references may exist before that
      static constexpr std::array<std::size_t, 1> kNone{0};
      node.view.shape = kNone;
      return ValueBuilder::array(&node);
    }
    case Class::scalar: return numpy_scalar(arguments);
    case Class::from_buffer: return numpy_from_buffer(arguments);
    case Class::dtype:
    case Class::timezone:
    case Class::plain: return object(known->name, arguments);
    case Class::encode: return latin1(arguments);
    case Class::datetime: return datetime(arguments);
    case Class::date: return date(arguments);
    case Class::timedelta: return timedelta(arguments);
    case Class::complex_number:
      if (arguments.size() != 2) fail_pickle("a complex number is invalid");
      return ValueBuilder::complex(number(arguments[0]), number(arguments[1]));
    case Class::set: return set(arguments);
    case Class::byte_string:
      if (arguments.size() == 0) return ValueBuilder::bytes({});
      if (arguments[0].kind() == Kind::bytes) return arguments[0];
      if (arguments[0].kind() == Kind::text && arguments.size() == 2) return latin1(arguments);
      fail_pickle("bytes are invalid");
    case Class::dict: return dict(arguments);
    case Class::path: return path(arguments);
  }
  fail_pickle("it calls an object that is not a class");
}

Value PythonClasses::build(const Value& object, const Value& state) {
  if (object.kind() == Kind::array) {
    set_array_state(*ValueBuilder::array_of(object), state);
    return object;
  }
  if (object.kind() == Kind::object && !detail::is_class(object)) {
    ValueBuilder::object_of(object)->state = state;
    return object;
  }
  if (object.kind() == Kind::dict || object.kind() == Kind::list || object.kind() == Kind::set)
    return object;  // attributes of a subclass
  fail_pickle("it sets the state of an object that has none");
}

}  // namespace metaflow::value
