// The numpy part of PythonClasses: types, arrays, scalars.

#include <algorithm>
#include <charconv>
#include <cstring>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"
#include "value/nodes.h"
#include "value/python_classes.h"

namespace metaflow::value {

using detail::Arena;
using detail::ArrayNode;
using detail::ValueBuilder;

namespace {

constexpr std::size_t kMaxDimensions = 64;  // numpy's

struct DType {
  char type = 'V';
  std::size_t item_size = 0;
  bool big_endian = false;
  std::string unit;
};

bool readable(const DType& type) {
  switch (type.type) {
    case 'b': return type.item_size == 1;
    case 'i':
    case 'u': return type.item_size == 1 || type.item_size == 2 || type.item_size == 4 || type.item_size == 8;
    case 'f': return type.item_size == 2 || type.item_size == 4 || type.item_size == 8;
    case 'c': return type.item_size == 8 || type.item_size == 16;
    case 'S': return type.item_size <= 1U << 20;
    case 'U': return type.item_size <= 4U << 20;
    case 'M':
    case 'm': return type.item_size == 8;
    default: return false;
  }
}

/// "[10us]", from the last part of a date type's state: (None or {}, (b'us', 10, 1, 1)).
std::string unit_of(const Value& metadata) {
  if (metadata.kind() != Kind::tuple || metadata.size() != 2) return {};
  const Value unit = metadata[1];
  if (unit.kind() != Kind::tuple || unit.size() < 2 || unit[0].kind() != Kind::bytes || unit[1].kind() != Kind::integer)
    return {};
  const std::string_view name = base::as_text(unit[0].bytes());
  if (name == "generic" || name.size() > 8 || base::find_invalid_utf8(name) != std::string_view::npos) return {};
  return unit[1].integer() == 1 ? fmt::format("[{}]", name) : fmt::format("[{}{}]", unit[1].integer(), name);
}

/// From the argument of numpy.dtype() ("f8", "U2", ">M8[ns]") and the state set by BUILD.
DType dtype_of(const Value& dtype) {
  if (dtype.class_name() != "numpy.dtype" || dtype.size() < 1 || dtype[0].kind() != Kind::text)
    fail_pickle("a numpy type is invalid");
  const std::string_view whole = dtype[0].text();
  auto unsupported = [&] {
    fail_unknown(fmt::format("numpy arrays of type '{}' are not supported", base::replace_invalid_utf8(whole)));
  };
  std::string_view text = whole;
  DType result;
  if (!text.empty() && std::string_view("<>|=").find(text[0]) != std::string_view::npos) {
    result.big_endian = text[0] == '>';
    text.remove_prefix(1);
  }
  if (const std::size_t bracket = text.find('['); bracket != std::string_view::npos && text.ends_with(']')) {
    result.unit = text.substr(bracket);
    text = text.substr(0, bracket);
  }
  if (text.size() < 2) unsupported();
  result.type = text[0];
  const auto parsed = std::from_chars(text.data() + 1, text.data() + text.size(), result.item_size);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || result.item_size > 1U << 20) unsupported();
  if (result.type == 'U') result.item_size *= 4;
  const bool date = result.type == 'M' || result.type == 'm';
  if (!readable(result) || (!result.unit.empty() && (!date || result.unit.size() > 24))) unsupported();
  const Value state = dtype.state();
  if (state.kind() == Kind::tuple && state.size() >= 2 && state[1].kind() == Kind::text) {
    result.big_endian = state[1].text() == ">";
    if (date && state.size() >= 9) result.unit = unit_of(state[8]);
  }
  return result;
}

std::vector<std::size_t> shape_of(const Value& shape) {
  if (shape.kind() == Kind::integer && shape.integer() >= 0) return {static_cast<std::size_t>(shape.integer())};
  if (shape.kind() != Kind::tuple || shape.size() > kMaxDimensions)
    fail_pickle("the shape of a numpy array is invalid");
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const Value size = shape[i];
    if (size.kind() != Kind::integer || size.integer() < 0) fail_pickle("the shape of a numpy array is invalid");
    sizes.push_back(static_cast<std::size_t>(size.integer()));
  }
  return sizes;
}

constexpr std::size_t kMaxWithoutBytes = 1 << 20;

/// The number of elements; throws unless they match the number of bytes.
std::size_t checked_count(const std::vector<std::size_t>& shape, std::size_t item_size, std::size_t bytes) {
  std::size_t count = 1;
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    count = 0;
  } else {
    for (std::size_t size : shape) {
      if (__builtin_mul_overflow(count, size, &count)) fail_pickle("a numpy array is too large");
    }
  }
  // A pickle can claim any number of elements without bytes, such as those of type U0.
  if (item_size == 0 && count > kMaxWithoutBytes) fail_pickle("a numpy array is too large");
  std::size_t total = 0;
  if (__builtin_mul_overflow(count, item_size, &total) || total != bytes)
    fail_pickle("a numpy array has the wrong number of bytes");
  return count;
}

/// One element of a numpy array of texts: UTF-32, padded with zeros.
Value text_element(Arena& arena, std::span<const std::byte> bytes, bool big_endian) {
  std::size_t size = bytes.size();
  while (size >= 4 && std::all_of(&bytes[size - 4], &bytes[size - 4] + 4, [](std::byte b) { return b == std::byte{}; }))
    size -= 4;
  std::string text;
  for (std::size_t i = 0; i + 4 <= size; i += 4) {
    std::uint32_t c = 0;
    std::memcpy(&c, bytes.data() + i, 4);
    if (big_endian) c = __builtin_bswap32(c);
    if (c > base::kLastCodePoint) fail_pickle("a numpy array of texts has an invalid character");
    base::append_utf8(text, c);
  }
  return ValueBuilder::text(arena.keep(text));
}

}  // namespace

void PythonClasses::fill_array(ArrayNode& node, const Value& shape, const Value& dtype, Order order,
                               std::span<const std::byte> bytes) {
  DType type = dtype_of(dtype);
  const std::vector<std::size_t> sizes = shape_of(shape);
  const std::size_t count = checked_count(sizes, type.item_size, bytes.size());
  if (bytes.empty()) has_empty_arrays_ = true;
  node.view.type = type.type;
  node.view.unit = arena_.keep(type.unit);
  node.view.item_size = type.item_size;
  node.view.big_endian = type.big_endian;
  node.view.column_major = order == Order::column_major && sizes.size() > 1;
  node.view.shape = arena_.keep(std::span<const std::size_t>(sizes));
  node.view.bytes = bytes;
  const auto all = arena_.source.bytes();
  const bool within = bytes.data() >= all.data() && bytes.data() + bytes.size() <= all.data() + all.size();
  node.source = within ? &arena_.source : nullptr;
  node.texts = {};
  if (type.type != 'U') return;
  charge(count * 3 + bytes.size() / 16);
  std::vector<Value> texts;
  texts.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    texts.push_back(text_element(arena_, bytes.subspan(i * type.item_size, type.item_size), type.big_endian));
  node.texts = arena_.keep(std::span<const Value>(texts));
}

Value PythonClasses::numpy_scalar(const Value& arguments) {
  if (arguments.size() != 2 || arguments[1].kind() != Kind::bytes) fail_pickle("a numpy scalar is invalid");
  const DType type = dtype_of(arguments[0]);
  const auto bytes = arguments[1].bytes();
  if (bytes.size() != type.item_size) fail_pickle("a numpy scalar has the wrong size");
  charge(1 + bytes.size() / 16);
  if (type.type == 'U') return text_element(arena_, bytes, type.big_endian);
  ArrayView view;
  view.type = type.type;
  view.item_size = type.item_size;
  view.big_endian = type.big_endian;
  view.bytes = bytes;
  return detail::array_element(view, 0);
}

/// _frombuffer(bytes, dtype, shape, order), and for order "K" the position of each dimension in the buffer.
Value PythonClasses::numpy_from_buffer(const Value& arguments) {
  if (arguments.size() < 4 || arguments[0].kind() != Kind::bytes || arguments[3].kind() != Kind::text)
    fail_pickle("a numpy array is invalid");
  const std::string_view order = arguments[3].text();
  const auto bytes = arguments[0].bytes();
  ArrayNode& node = arena_.array();
  if (order != "K") {
    fill_array(node, arguments[2], arguments[1], order == "F" ? Order::column_major : Order::row_major, bytes);
    return ValueBuilder::array(&node);
  }
  // The shape is that of the buffer; dimension d of the array is the buffer's dimension axes[d]. Reorder the elements
  // to the array's order.
  fill_array(node, arguments[2], arguments[1], Order::row_major, bytes);
  const std::size_t dimensions = node.view.shape.size();
  const std::vector<std::size_t> axes = arguments.size() > 4 ? shape_of(arguments[4]) : std::vector<std::size_t>();
  std::vector<bool> seen(dimensions, false);
  if (axes.size() != dimensions) fail_pickle("the axes of a numpy array do not match its dimensions");
  std::vector<std::size_t> shape(dimensions);
  std::vector<std::size_t> strides(dimensions);  // in the buffer, in elements
  for (std::size_t d = 0; d < dimensions; ++d) {
    const std::size_t axis = axes[d];
    if (axis >= dimensions || seen[axis]) fail_pickle("the axes of a numpy array do not match its dimensions");
    seen[axis] = true;
    shape[d] = node.view.shape[axis];
    strides[d] = 1;
    for (std::size_t inner = axis + 1; inner < dimensions; ++inner) strides[d] *= node.view.shape[inner];
  }
  charge(bytes.size() / 16);
  const std::size_t item = node.view.item_size;
  const std::size_t count = item == 0 ? 0 : bytes.size() / item;
  std::vector<std::byte> ordered(bytes.size());
  std::vector<Value> texts;
  std::vector<std::size_t> index(dimensions, 0);
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t from = 0;
    for (std::size_t d = 0; d < dimensions; ++d) from += index[d] * strides[d];
    std::memcpy(&ordered[i * item], &bytes[from * item], item);
    if (!node.texts.empty()) texts.push_back(node.texts[from]);
    for (std::size_t d = dimensions; d-- > 0 && ++index[d] == shape[d];) index[d] = 0;
  }
  node.view.shape = arena_.keep(std::span<const std::size_t>(shape));
  if (!ordered.empty()) {
    node.view.bytes = arena_.keep(std::span<const std::byte>(ordered));
    node.source = nullptr;
  }
  if (!texts.empty()) node.texts = arena_.keep(std::span<const Value>(texts));
  return ValueBuilder::array(&node);
}

void PythonClasses::set_array_state(ArrayNode& node, const Value& state) {
  // (version, shape, dtype, column major?, bytes)
  if (state.kind() != Kind::tuple || state.size() != 5) fail_pickle("the state of a numpy array is invalid");
  if (state[3].kind() != Kind::boolean && state[3].kind() != Kind::integer)
    fail_pickle("the state of a numpy array is invalid");
  const bool column_major = state[3].kind() == Kind::boolean ? state[3].boolean() : state[3].integer() != 0;
  if (state[4].kind() != Kind::bytes) fail_unknown("numpy arrays of objects are not supported");
  fill_array(node, state[1], state[2], column_major ? Order::column_major : Order::row_major, state[4].bytes());
}

}  // namespace metaflow::value
