#include "value/python_classes.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include <metaflow/error.h>

#include "base/text.h"
#include "value/calendar.h"
#include "value/nodes.h"

namespace metaflow::value {

using detail::Arena;
using detail::ArrayNode;
using detail::DictNode;
using detail::ListNode;
using detail::ObjectNode;
using detail::ValueBuilder;

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::invalid_value, "Cannot read a pickled value: " + what);
}

/// What a known class does when it is called.
enum class Class : std::uint8_t {
  ndarray,      // numpy.ndarray((0,), 'b'), filled by BUILD
  reconstruct,  // _reconstruct(numpy.ndarray, (0,), b'b')
  from_buffer,  // _frombuffer(bytes, dtype, shape, order), protocol 5
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
    Known{"pathlib.PosixPath", Class::path},
    Known{"pathlib.PurePosixPath", Class::path},
    Known{"pathlib.Path", Class::path},
    Known{"__main__.ForeachFrame", Class::plain},
    Known{"metaflow.tuple_util.ForeachFrame", Class::plain},
    Known{"metaflow.exception.MetaflowExceptionWrapper", Class::plain},
};

Class class_of(const Value& callable) {
  for (const Known& known : kKnown) {
    if (callable.class_name() == known.name) return known.what;
  }
  fail("it calls something that is no class");
}

struct DType {
  char type = 'V';
  std::size_t item_size = 0;
  bool big_endian = false;
};

/// From the text numpy.dtype() was called with ("f8", "U2") and the state that BUILD gave it.
DType dtype_of(const Value& dtype) {
  if (dtype.class_name() != "numpy.dtype" || dtype.size() < 1 || dtype[0].kind() != Kind::text)
    fail("a numpy type is not one");
  const std::string_view text = dtype[0].text();
  DType result;
  if (text.size() < 2 || std::string_view("biufcSUMm").find(text[0]) == std::string_view::npos) {
    fail(fmt::format("numpy arrays of type '{}' are not supported", text));
  }
  result.type = text[0];
  const auto parsed = std::from_chars(text.data() + 1, text.data() + text.size(), result.item_size);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || result.item_size > 1U << 20)
    fail(fmt::format("numpy type '{}'", text));
  if (result.type == 'U') result.item_size *= 4;
  const Value state = dtype.state();
  if (state.kind() == Kind::tuple && state.size() >= 2 && state[1].kind() == Kind::text) {
    result.big_endian = state[1].text() == ">";
  }
  return result;
}

std::vector<std::size_t> shape_of(const Value& shape) {
  std::vector<std::size_t> sizes;
  if (shape.kind() == Kind::integer) {
    if (shape.integer() < 0) fail("a numpy array has a negative size");
    return {static_cast<std::size_t>(shape.integer())};
  }
  if (shape.kind() != Kind::tuple || shape.size() > 64) fail("the shape of a numpy array is not one");
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const Value size = shape[i];
    if (size.kind() != Kind::integer || size.integer() < 0) fail("the shape of a numpy array is not one");
    sizes.push_back(static_cast<std::size_t>(size.integer()));
  }
  return sizes;
}

std::size_t checked_count(const std::vector<std::size_t>& shape, std::size_t item_size) {
  std::size_t total = item_size;
  for (std::size_t size : shape) {
    if (__builtin_mul_overflow(total, size, &total)) fail("a numpy array is too large");
  }
  return item_size == 0 ? 0 : total / item_size;
}

std::string utf8(std::uint32_t c) {
  std::string text;
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | c >> 6);
    text += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | c >> 12);
    text += static_cast<char>(0x80 | (c >> 6 & 63));
    text += static_cast<char>(0x80 | (c & 63));
  } else {
    text += static_cast<char>(0xF0 | (c >> 18 & 7));
    text += static_cast<char>(0x80 | (c >> 12 & 63));
    text += static_cast<char>(0x80 | (c >> 6 & 63));
    text += static_cast<char>(0x80 | (c & 63));
  }
  return text;
}

/// One element of a numpy array of texts: UTF-32, padded with zeros.
Value text_element(Arena& arena, std::span<const std::byte> bytes, bool big_endian) {
  std::string text;
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    std::uint32_t c = 0;
    std::memcpy(&c, bytes.data() + i, 4);
    if (big_endian) c = __builtin_bswap32(c);
    if (c == 0) break;
    text += utf8(c);
  }
  return ValueBuilder::text(arena.keep(std::move(text)));
}

double number(const Value& value) {
  switch (value.kind()) {
    case Kind::boolean: return value.boolean() ? 1 : 0;
    case Kind::integer: return static_cast<double>(value.integer());
    case Kind::real: return value.real();
    default: fail("a number is not one");
  }
}

std::int64_t small_integer(const Value& arguments, std::size_t index, std::int64_t low, std::int64_t high,
                           std::int64_t otherwise) {
  if (index >= arguments.size()) return otherwise;
  const Value value = arguments[index];
  if (value.kind() != Kind::integer || value.integer() < low || value.integer() > high)
    fail("a date or time is out of range");
  return value.integer();
}

/// timedelta(days, seconds, microseconds); the last may be a float (our own nanoseconds).
Value timedelta(const Value& arguments) {
  constexpr std::int64_t kMaxDays = 999'999'999;
  std::int64_t nanoseconds = 0;
  std::int64_t microseconds = 0;
  if (arguments.size() > 2 && arguments[2].kind() == Kind::real) {
    const double real = arguments[2].real();
    if (!(std::fabs(real) < 1e15)) fail("a timedelta is out of range");
    microseconds = static_cast<std::int64_t>(std::floor(real));
    nanoseconds = std::llround((real - static_cast<double>(microseconds)) * 1000);
  } else {
    microseconds = small_integer(arguments, 2, -1'000'000'000'000'000, 1'000'000'000'000'000, 0);
  }
  const std::int64_t days = small_integer(arguments, 0, -kMaxDays, kMaxDays, 0);
  const std::int64_t seconds = small_integer(arguments, 1, -1'000'000'000'000, 1'000'000'000'000, 0);
  std::int64_t total = 0;
  if (__builtin_mul_overflow(days * 86400 + seconds, std::int64_t{1'000'000}, &total) ||
      __builtin_add_overflow(total, microseconds, &total)) {
    fail("a timedelta is out of range");
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
    if (b.size() != 10) fail("a datetime is not one");
    auto byte = [&](std::size_t i) { return std::to_integer<std::int64_t>(b[i]); };
    const std::int64_t month = byte(2) & 0x7F;  // the top bit is "fold"
    if (month < 1 || month > 12 || byte(3) < 1 || byte(3) > 31 || byte(4) > 23 || byte(5) > 59 || byte(6) > 59)
      fail("a datetime is not one");
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
    offset = zone[0].microseconds();
  } else if (!zone.is_none() && zone.class_name() != "datetime.timezone") {
    fail("a datetime has a time zone that is not supported");
  }
  return ValueBuilder::datetime(at - offset);
}

Value date(const Value& arguments) {
  if (arguments.size() != 1 || arguments[0].kind() != Kind::bytes || arguments[0].bytes().size() != 4)
    fail("a date is not one");
  const auto b = arguments[0].bytes();
  auto byte = [&](std::size_t i) { return std::to_integer<std::int64_t>(b[i]); };
  if (byte(2) < 1 || byte(2) > 12 || byte(3) < 1 || byte(3) > 31) fail("a date is not one");
  return ValueBuilder::datetime(microseconds_of({byte(0) << 8 | byte(1), byte(2), byte(3), 0, 0, 0, 0}));
}

/// text.encode('latin1'): how protocol 2 writes bytes.
Value latin1(Arena& arena, const Value& arguments) {
  if (arguments.size() != 2 || arguments[0].kind() != Kind::text) fail("bytes are not");
  const std::string_view text = arguments[0].text();
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      bytes += text[i];
    } else if ((c == 0xC2 || c == 0xC3) && i + 1 < text.size()) {
      bytes += static_cast<char>((c & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 63));
    } else {
      fail("bytes are not");
    }
  }
  return ValueBuilder::bytes(base::as_bytes(arena.keep(std::move(bytes))));
}

Value path(Arena& arena, const Value& arguments) {
  std::string joined;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].kind() != Kind::text) fail("a path is not one");
    const std::string_view part = arguments[i].text();
    if (part.starts_with('/')) {
      joined = part;
    } else {
      if (!joined.empty() && joined.back() != '/') joined += '/';
      joined += part;
    }
  }
  return ValueBuilder::text(arena.keep(std::move(joined)));
}

}  // namespace

Value PythonClasses::object(std::string_view class_name, const Value& arguments) {
  ObjectNode& node = arena_.objects.emplace_back();
  node.class_name = class_name;
  if (arguments.kind() == Kind::tuple) {
    node.arguments.reserve(arguments.size());
    for (std::size_t i = 0; i < arguments.size(); ++i) node.arguments.push_back(arguments[i]);
  }
  return ValueBuilder::object(&node);
}

Value PythonClasses::global(std::string_view module, std::string_view name) {
  const std::string full = fmt::format("{}.{}", module, name);
  for (const Known& known : kKnown) {
    if (full == known.name) return object(full, Value());
  }
  throw Error(ErrorCode::invalid_value,
              fmt::format("Cannot read a pickled value: it refers to the Python class or function '{}'",
                          base::replace_invalid_utf8(full)),
              "C++ reads numbers, texts, bytes, containers, numpy arrays, dates and times; store one of those.");
}

void PythonClasses::fill_array(ArrayNode& node, const Value& shape, const Value& dtype, bool column_major,
                               std::span<const std::byte> bytes) {
  const DType type = dtype_of(dtype);
  const std::vector<std::size_t> sizes = shape_of(shape);
  const std::size_t count = checked_count(sizes, type.item_size);
  if (bytes.size() != count * type.item_size) fail("a numpy array has the wrong number of bytes");
  node.shape = sizes;
  node.view = ArrayView{type.type, type.item_size, type.big_endian, column_major && sizes.size() > 1, {}, bytes};
  node.view.shape = node.shape;
  node.texts.clear();
  for (std::size_t i = 0; type.type == 'U' && i < count; ++i) {
    node.texts.push_back(text_element(arena_, bytes.subspan(i * type.item_size, type.item_size), type.big_endian));
  }
}

Value PythonClasses::numpy_scalar(const Value& arguments) {
  if (arguments.size() != 2 || arguments[1].kind() != Kind::bytes) fail("a numpy scalar is not one");
  const DType type = dtype_of(arguments[0]);
  const auto bytes = arguments[1].bytes();
  if (bytes.size() != type.item_size) fail("a numpy scalar has the wrong size");
  if (type.type == 'U') return text_element(arena_, bytes, type.big_endian);
  return detail::array_element(ArrayView{type.type, type.item_size, type.big_endian, false, {}, bytes}, 0);
}

Value PythonClasses::call(const Value& callable, const Value& arguments) {
  if (arguments.kind() != Kind::tuple) fail("something is called without arguments");
  if (callable.kind() != Kind::object || callable.size() != 0) fail("it calls something that is no class");
  const Class what = class_of(callable);
  switch (what) {
    case Class::ndarray:
    case Class::reconstruct: {
      ArrayNode& node = arena_.arrays.emplace_back();  // filled by set_array_state; it may be referred to before
      node.shape = {0};
      node.view.shape = node.shape;
      return ValueBuilder::array(&node);
    }
    case Class::scalar: return numpy_scalar(arguments);
    case Class::dtype:
    case Class::timezone:
    case Class::plain: return object(callable.class_name(), arguments);
    case Class::from_buffer: {
      if (arguments.size() != 4 || arguments[0].kind() != Kind::bytes || arguments[3].kind() != Kind::text)
        fail("a numpy array is not one");
      ArrayNode& node = arena_.arrays.emplace_back();
      fill_array(node, arguments[2], arguments[1], arguments[3].text() == "F", arguments[0].bytes());
      return ValueBuilder::array(&node);
    }
    case Class::encode: return latin1(arena_, arguments);
    case Class::datetime: return datetime(arguments);
    case Class::date: return date(arguments);
    case Class::timedelta: return timedelta(arguments);
    case Class::complex_number: {
      if (arguments.size() != 2) fail("a complex number is not one");
      return ValueBuilder::complex(number(arguments[0]), number(arguments[1]));
    }
    case Class::set: {
      ListNode& node = arena_.lists.emplace_back();
      if (arguments.size() > 0) {
        const Value items = arguments[0];
        if (items.kind() != Kind::list && items.kind() != Kind::tuple) fail("a set is not one");
        for (std::size_t i = 0; i < items.size(); ++i) {
          const Value item = items[i];
          node.append(&item, &item + 1);
        }
      }
      return ValueBuilder::list(Kind::set, &node);
    }
    case Class::byte_string:
      if (arguments.size() == 0) return ValueBuilder::bytes({});
      if (arguments[0].kind() == Kind::bytes) return arguments[0];
      if (arguments[0].kind() == Kind::text && arguments.size() == 2) return latin1(arena_, arguments);
      fail("bytes are not");
    case Class::dict: {
      DictNode& node = arena_.dicts.emplace_back();
      if (arguments.size() > 0) {  // protocol 2: a list of pairs
        const Value pairs = arguments[0];
        if (pairs.kind() != Kind::list) fail("a dict is not one");
        for (std::size_t i = 0; i < pairs.size(); ++i) {
          const Value pair = pairs[i];
          if ((pair.kind() != Kind::list && pair.kind() != Kind::tuple) || pair.size() != 2) fail("a dict is not one");
          node.keys.push_back(pair[0]);
          node.values.push_back(pair[1]);
        }
      }
      return ValueBuilder::dict(&node);
    }
    case Class::path: return path(arena_, arguments);
  }
  fail("it calls something that is no class");
}

void PythonClasses::set_array_state(ArrayNode& node, const Value& state) {
  // (version, shape, dtype, column major?, bytes)
  if (state.kind() != Kind::tuple || state.size() != 5) fail("the state of a numpy array is not one");
  if (state[3].kind() != Kind::boolean && state[3].kind() != Kind::integer)
    fail("the state of a numpy array is not one");
  const bool column_major = state[3].kind() == Kind::boolean ? state[3].boolean() : state[3].integer() != 0;
  if (state[4].kind() != Kind::bytes) fail("numpy arrays of objects are not supported");
  fill_array(node, state[1], state[2], column_major, state[4].bytes());
}

Value PythonClasses::build(const Value& object, const Value& state) {
  if (object.kind() == Kind::array) {
    set_array_state(*ValueBuilder::array_of(object), state);
    return object;
  }
  if (object.kind() == Kind::object) {
    ValueBuilder::object_of(object)->state = state;
    return object;
  }
  if (object.kind() == Kind::dict || object.kind() == Kind::list || object.kind() == Kind::set)
    return object;  // attributes of a subclass
  fail("it gives a state to something that has none");
}

}  // namespace metaflow::value
