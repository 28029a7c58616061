// Converts the elements of arrays and sequences of numbers to C++ types.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <metaflow/codec.h>

namespace metaflow::detail {

/// The shape of a value as an array: that of an array, or of nested lists of numbers.
std::vector<std::size_t> shape_from(const Value& value, const Place& place);

/// Whether the bytes of this array are elements of the given type in row-major order.
bool same_elements(const Value& array, char type, std::size_t item_size);

/// Converts all elements of nested lists or an array to the given type, in row-major order. Throws Error if one does
/// not fit. Returns the end of the written elements.
std::byte* convert_elements(const Value& value, const Place& place, char type, std::size_t item_size,
                            std::span<const std::size_t> shape, std::byte* at);

}  // namespace metaflow::detail
