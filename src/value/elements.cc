#include "value/elements.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "value/nodes.h"

namespace metaflow::detail {

namespace {

template <class T>
void put(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

/// Calls f with a value of the C++ type of these elements. A complex number counts as two elements.
template <class F>
auto with_type(char type, std::size_t item_size, F f) {
  switch (type) {
    case 'b': return f(bool{});
    case 'i':
      switch (item_size) {
        case 1: return f(std::int8_t{});
        case 2: return f(std::int16_t{});
        case 4: return f(std::int32_t{});
        default: return f(std::int64_t{});
      }
    case 'u':
      switch (item_size) {
        case 1: return f(std::uint8_t{});
        case 2: return f(std::uint16_t{});
        case 4: return f(std::uint32_t{});
        default: return f(std::uint64_t{});
      }
    case 'f': return item_size == 4 ? f(float{}) : f(double{});
    default: return item_size == 8 ? f(float{}) : f(double{});
  }
}

/// Converts one element to the given type; throws if it does not fit.
void convert_element(const Value& value, const Place& place, char type, std::size_t item_size, std::byte* at) {
  with_type(type, item_size, [&]<class T>(T) {
    if constexpr (std::is_same_v<T, bool>) {
      put(at, boolean_from(value, place));
    } else if constexpr (std::is_floating_point_v<T>) {
      double imaginary = 0;
      double real = 0;
      if (type == 'c') {
        complex_from(value, place, static_cast<double>(std::numeric_limits<T>::max()), real, imaginary);
        put(at + sizeof(T), static_cast<T>(imaginary));
      } else {
        real = real_from(value, place, static_cast<double>(std::numeric_limits<T>::max()));
      }
      put(at, static_cast<T>(real));
    } else if constexpr (std::is_signed_v<T>) {
      put(at, static_cast<T>(integer_from(value, place, std::numeric_limits<T>::min(), std::numeric_limits<T>::max())));
    } else {
      put(at, static_cast<T>(unsigned_from(value, place, std::numeric_limits<T>::max())));
    }
  });
}

/// Converts numbers to T until one would lose precision. Returns how many were converted.
template <class T, class From>
std::size_t convert_run(std::span<const From> numbers, std::byte* at) {
  std::size_t done = 0;
  for (; done < numbers.size(); ++done) {
    const From number = numbers[done];
    T converted{};
    if constexpr (std::is_same_v<T, From>) {
      converted = number;
    } else if constexpr (std::is_same_v<T, bool> || (std::is_integral_v<T> && std::is_floating_point_v<From>)) {
      break;
    } else if constexpr (std::is_integral_v<T>) {
      if (!std::in_range<T>(number)) break;
      converted = static_cast<T>(number);
    } else if constexpr (std::is_integral_v<From>) {
      constexpr From kExact =
          From{1} << std::numeric_limits<T>::digits;  // numbers up to here are exact; larger ones need a check
      if (number > kExact || number < -kExact) break;
      converted = static_cast<T>(number);
    } else {
      if (std::isfinite(number) && std::fabs(number) > static_cast<From>(std::numeric_limits<T>::max())) break;
      converted = static_cast<T>(number);
    }
    put(at + done * sizeof(T), converted);
  }
  return done;
}

/// Converts the numbers that a value stores contiguously.
std::size_t convert_packed(const Value& value, char type, std::size_t item_size, std::byte* at) {
  if (type == 'c') return 0;
  return with_type(type, item_size, [&]<class T>(T) -> std::size_t {
    if (const auto reals = value.packed_reals(); !reals.empty()) return convert_run<T>(reals, at);
    if (const auto integers = value.packed_integers(); !integers.empty()) return convert_run<T>(integers, at);
    return 0;
  });
}

}  // namespace

bool same_elements(const Value& array, char type, std::size_t item_size) {
  const ArrayView& view = ValueBuilder::array_of(array)->view;
  if (view.type != type || view.item_size != item_size || view.column_major) return false;
  if (view.big_endian && item_size > 1) return false;
  // A bool that is neither 0 nor 1 would be undefined behaviour.
  if (type != 'b') return true;
  const auto bytes = array.array().bytes;
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b <= std::byte{1}; });
}

std::vector<std::size_t> shape_from(const Value& value, const Place& place) {
  constexpr std::size_t kMaxDimensions = 64;
  std::vector<std::size_t> shape;
  for (Value level = value; shape.size() <= kMaxDimensions; level = level[0]) {
    if (level.kind() == Kind::array) {
      shape.insert(shape.end(), level.shape().begin(), level.shape().end());
      break;
    }
    if (level.kind() != Kind::list && level.kind() != Kind::tuple) break;
    shape.push_back(sequence_from(level, place));
    if (level.size() == 0) break;
  }
  if (shape.empty() && value.kind() != Kind::array) throw_mismatch(value, place, "an array");
  return shape;
}

std::byte* convert_elements(const Value& value, const Place& place, char type, std::size_t item_size,
                            std::span<const std::size_t> shape, std::byte* at) {
  if (shape.empty()) {
    convert_element(value, place, type, item_size, at);
    return at + item_size;
  }
  const std::size_t size = sequence_from(value, place);
  if (size != shape[0]) throw_wrong_size(value, place, shape[0]);
  if (value.kind() == Kind::array && std::ranges::equal(value.shape(), shape) &&
      same_elements(value, type, item_size)) {
    const auto bytes = value.array().bytes;
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    return at + bytes.size();
  }
  std::size_t i = 0;
  if (shape.size() == 1) {
    i = convert_packed(value, type, item_size, at);
    at += i * item_size;
  }
  for (; i < size; ++i) at = convert_elements(value[i], Place{&place, {}, i}, type, item_size, shape.subspan(1), at);
  return at;
}

void numbers_from(const Value& value, const Place& place, char type, std::size_t item_size, void* into) {
  const std::size_t size = value.size();
  convert_elements(value, place, type, item_size, std::span(&size, 1), static_cast<std::byte*>(into));
}

}  // namespace metaflow::detail
