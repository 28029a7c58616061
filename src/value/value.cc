#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include <metaflow/value.h>

#include "base/format.h"
#include "value/nodes.h"

namespace metaflow {

using detail::ListNode;
using detail::ValueBuilder;

namespace {

[[noreturn]] void wrong_kind(const Value& value, std::string_view wanted) {
  throw Error(ErrorCode::invalid_value, fmt::format("This value is {}, not {}", python_type(value), wanted));
}

// The position of a Value of kind `array` in an n-dimensional array: the number of indices given, and the offset of the
// element they lead to.
constexpr unsigned kLevelBits = 8;

std::size_t pack_position(std::size_t level, std::size_t offset) { return offset << kLevelBits | level; }
std::size_t level_of(std::size_t packed) { return packed & ((1U << kLevelBits) - 1); }
std::size_t offset_of(std::size_t packed) { return packed >> kLevelBits; }

}  // namespace

namespace detail {

Value ValueBuilder::boolean(bool b) {
  Value value;
  value.kind_ = Kind::boolean;
  value.boolean_ = b;
  return value;
}
Value ValueBuilder::integer(std::int64_t i) {
  Value value;
  value.kind_ = Kind::integer;
  value.integer_ = i;
  return value;
}
Value ValueBuilder::unsigned_integer(std::uint64_t u) {
  if (u <= INT64_MAX) return integer(static_cast<std::int64_t>(u));
  Value value;
  value.kind_ = Kind::big_integer;
  value.integer_ = static_cast<std::int64_t>(u);  // and size_ 0: no external bytes
  return value;
}
Value ValueBuilder::big_integer(std::span<const std::byte> magnitude) {
  Value value;
  value.kind_ = Kind::big_integer;
  value.data_ = reinterpret_cast<const char*>(magnitude.data());
  value.size_ = magnitude.size();
  return value;
}
Value ValueBuilder::real(double d) {
  Value value;
  value.kind_ = Kind::real;
  value.real_ = d;
  return value;
}
Value ValueBuilder::complex(double real, double imaginary) {
  Value value;
  value.kind_ = Kind::complex;
  value.real_ = real;
  value.imaginary_ = imaginary;
  return value;
}
Value ValueBuilder::text(std::string_view text) {
  Value value;
  value.kind_ = Kind::text;
  value.data_ = text.data();
  value.size_ = text.size();
  return value;
}
Value ValueBuilder::bytes(std::span<const std::byte> bytes) {
  Value value;
  value.kind_ = Kind::bytes;
  value.data_ = reinterpret_cast<const char*>(bytes.data());
  value.size_ = bytes.size();
  return value;
}
Value ValueBuilder::list(Kind kind, const ListNode* node) {
  Value value;
  value.kind_ = kind;
  value.list_ = node;
  return value;
}
Value ValueBuilder::dict(const DictNode* node) {
  Value value;
  value.kind_ = Kind::dict;
  value.dict_ = node;
  return value;
}
Value ValueBuilder::array(const ArrayNode* node, std::size_t level, std::size_t offset) {
  Value value;
  value.kind_ = Kind::array;
  value.array_ = node;
  value.size_ = pack_position(level, offset);
  return value;
}
Value ValueBuilder::datetime(std::int64_t microseconds) {
  Value value;
  value.kind_ = Kind::datetime;
  value.integer_ = microseconds;
  return value;
}
Value ValueBuilder::timedelta(std::int64_t microseconds, std::int64_t nanoseconds) {
  Value value;
  value.kind_ = Kind::timedelta;
  value.integer_ = microseconds;
  value.nanoseconds_ = nanoseconds;
  return value;
}
Value ValueBuilder::object(const ObjectNode* node) {
  Value value;
  value.kind_ = Kind::object;
  value.object_ = node;
  return value;
}

namespace {

template <class T>
T load_element(const std::byte* at, bool swap) {
  std::array<std::byte, sizeof(T)> raw;
  std::memcpy(raw.data(), at, sizeof(T));
  if (swap) std::reverse(raw.begin(), raw.end());
  return std::bit_cast<T>(raw);
}

double half_to_double(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  const double sign = (half & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31)
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * fraction * 0x1p-24;
  return sign * (1024 + fraction) * std::bit_cast<double>(static_cast<std::uint64_t>(1023 + exponent - 25) << 52);
}

}  // namespace

Value array_element(const ArrayView& view, std::size_t position) {
  const std::byte* at = view.bytes.data() + position * view.item_size;
  const bool swap = view.big_endian != (std::endian::native == std::endian::big);
  switch (view.type) {
    case 'b': return ValueBuilder::boolean(*at != std::byte{0});
    case 'i':
    case 'm':
    case 'M':
      switch (view.item_size) {
        case 1: return ValueBuilder::integer(load_element<std::int8_t>(at, swap));
        case 2: return ValueBuilder::integer(load_element<std::int16_t>(at, swap));
        case 4: return ValueBuilder::integer(load_element<std::int32_t>(at, swap));
        case 8: return ValueBuilder::integer(load_element<std::int64_t>(at, swap));
        default: break;
      }
      break;
    case 'u':
      switch (view.item_size) {
        case 1: return ValueBuilder::integer(load_element<std::uint8_t>(at, swap));
        case 2: return ValueBuilder::integer(load_element<std::uint16_t>(at, swap));
        case 4: return ValueBuilder::integer(load_element<std::uint32_t>(at, swap));
        case 8: return ValueBuilder::unsigned_integer(load_element<std::uint64_t>(at, swap));
        default: break;
      }
      break;
    case 'f':
      switch (view.item_size) {
        case 2: return ValueBuilder::real(half_to_double(load_element<std::uint16_t>(at, swap)));
        case 4: return ValueBuilder::real(static_cast<double>(load_element<float>(at, swap)));
        case 8: return ValueBuilder::real(load_element<double>(at, swap));
        default: break;
      }
      break;
    case 'c':
      if (view.item_size == 8) {
        return ValueBuilder::complex(static_cast<double>(load_element<float>(at, swap)),
                                     static_cast<double>(load_element<float>(at + 4, swap)));
      }
      if (view.item_size == 16)
        return ValueBuilder::complex(load_element<double>(at, swap), load_element<double>(at + 8, swap));
      break;
    case 'S': {
      std::size_t size = view.item_size;
      while (size > 0 && at[size - 1] == std::byte{0}) --size;
      return ValueBuilder::bytes({at, size});
    }
    default: break;
  }
  throw Error(ErrorCode::invalid_value,
              fmt::format("Elements of a numpy array of type '{}{}' cannot be read", view.type, view.item_size));
}

Value scalar_of(const Value& value) {
  if (value.kind() != Kind::array || !value.shape().empty()) return value;
  const ArrayNode* node = ValueBuilder::array_of(value);
  if (!node->texts.empty()) return node->texts[0];
  return array_element(node->view, 0);
}

Expansion* expansion_of(const Value& value) {
  switch (value.kind()) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set: return &ValueBuilder::list_of(value)->expansion;
    case Kind::dict: return &ValueBuilder::dict_of(value)->expansion;
    case Kind::array: return &ValueBuilder::array_of(value)->expansion;
    case Kind::object: return &ValueBuilder::object_of(value)->expansion;
    default: return nullptr;
  }
}

bool is_class(const Value& value) { return value.kind() == Kind::object && ValueBuilder::object_of(value)->is_class; }

bool is_excessive(const Value& value) {
  const Expansion* expansion = expansion_of(value);
  return expansion != nullptr && *expansion == kExcessive;
}

}  // namespace detail

bool Value::boolean() const {
  if (kind_ != Kind::boolean) wrong_kind(*this, "a bool");
  return boolean_;
}

std::int64_t Value::integer() const {
  if (kind_ != Kind::integer) wrong_kind(*this, "an int of 64 bits");
  return integer_;
}

double Value::real() const {
  if (kind_ != Kind::real && kind_ != Kind::complex) wrong_kind(*this, "a float");
  return real_;
}

double Value::imaginary() const {
  if (kind_ != Kind::complex) wrong_kind(*this, "a complex");
  return imaginary_;
}

std::string_view Value::text() const {
  if (kind_ != Kind::text) wrong_kind(*this, "a str");
  return {data_, size_};
}

std::span<const std::byte> Value::bytes() const {
  if (kind_ != Kind::bytes) wrong_kind(*this, "bytes");
  return {reinterpret_cast<const std::byte*>(data_), size_};
}

std::optional<std::uint64_t> Value::unsigned_integer() const {
  if (kind_ == Kind::integer && integer_ >= 0) return static_cast<std::uint64_t>(integer_);
  if (kind_ == Kind::big_integer && size_ == 0) return static_cast<std::uint64_t>(integer_);
  return std::nullopt;
}

std::span<const std::byte> Value::magnitude() const {
  if (kind_ != Kind::big_integer || size_ == 0) wrong_kind(*this, "an int beyond 64 bits");
  return {reinterpret_cast<const std::byte*>(data_), size_};
}

std::span<const std::size_t> Value::shape() const {
  if (kind_ != Kind::array) wrong_kind(*this, "a numpy.ndarray");
  return array_->view.shape.subspan(level_of(size_));
}

ArrayView Value::array() const {
  if (kind_ != Kind::array) wrong_kind(*this, "a numpy.ndarray");
  ArrayView view = array_->view;
  const std::size_t level = level_of(size_);
  if (level == 0) return view;
  if (view.column_major) throw Error(ErrorCode::invalid_value, "A row of a column-major array is not contiguous");
  view.shape = view.shape.subspan(level);
  if (view.bytes.empty()) return view;
  std::size_t count = 1;
  for (std::size_t d : view.shape) count *= d;
  view.bytes = view.bytes.subspan(offset_of(size_) * view.item_size, count * view.item_size);
  return view;
}

std::int64_t Value::microseconds() const {
  if (kind_ != Kind::datetime && kind_ != Kind::timedelta) wrong_kind(*this, "a datetime or timedelta");
  return integer_;
}

std::int64_t Value::nanoseconds_below() const { return kind_ == Kind::timedelta ? nanoseconds_ : 0; }

std::size_t Value::size() const {
  switch (kind_) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set: return list_->size;
    case Kind::dict: return dict_->size;
    case Kind::object: return object_->arguments.size();
    case Kind::array:
      if (const auto dimensions = shape(); !dimensions.empty()) return dimensions[0];
      break;
    default: break;
  }
  wrong_kind(*this, "a container");
}

Value Value::operator[](std::size_t index) const {
  if (index >= size())
    throw Error(ErrorCode::invalid_value,
                fmt::format("Index {} is out of range for a {} of size {}", index, python_type(*this), size()));
  switch (kind_) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
      switch (list_->packing) {
        case ListNode::Packing::integers: return ValueBuilder::integer(list_->integers()[index]);
        case ListNode::Packing::reals: return ValueBuilder::real(list_->reals()[index]);
        case ListNode::Packing::values: break;
      }
      return list_->values()[index];
    case Kind::dict: return dict_->key(index);
    case Kind::object: return object_->arguments[index];
    default: break;
  }
  // An array: each index removes a dimension. Row-major positions count whole sub-arrays; column-major ones strides.
  const std::size_t level = level_of(size_);
  const auto whole = array_->view.shape;
  std::size_t stride = 1;
  if (array_->view.column_major) {
    for (std::size_t d = 0; d < level; ++d) stride *= whole[d];
  } else {
    for (std::size_t d = level + 1; d < whole.size(); ++d) stride *= whole[d];
  }
  const std::size_t offset = offset_of(size_) + index * stride;
  if (level + 1 == whole.size())
    return array_->texts.empty() ? detail::array_element(array_->view, offset) : array_->texts[offset];
  return ValueBuilder::array(array_, level + 1, offset);
}

std::span<const double> Value::packed_reals() const {
  return kind_ == Kind::list || kind_ == Kind::tuple ? list_->reals() : std::span<const double>();
}

std::span<const std::int64_t> Value::packed_integers() const {
  return kind_ == Kind::list || kind_ == Kind::tuple ? list_->integers() : std::span<const std::int64_t>();
}

Value Value::mapped(std::size_t index) const {
  if (kind_ != Kind::dict) wrong_kind(*this, "a dict");
  if (index >= dict_->size)
    throw Error(ErrorCode::invalid_value,
                fmt::format("Item {} is out of range for a dict of size {}", index, dict_->size));
  return dict_->mapped(index);
}

std::optional<Value> Value::find(std::string_view key) const {
  if (kind_ == Kind::object) return object_->state.kind_ == Kind::dict ? object_->state.find(key) : std::nullopt;
  if (kind_ != Kind::dict) return std::nullopt;
  for (std::size_t i = dict_->size; i-- > 0;) {  // of duplicate keys the last one counts
    const Value& candidate = dict_->key(i);
    if (candidate.kind_ == Kind::text && candidate.text() == key) return dict_->mapped(i);
  }
  return std::nullopt;
}

std::string_view Value::class_name() const {
  return kind_ == Kind::object ? std::string_view(object_->class_name) : std::string_view();
}

Value Value::state() const { return kind_ == Kind::object ? object_->state : Value(); }

}  // namespace metaflow
