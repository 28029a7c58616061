// The elements of arrays and sequences of numbers: from what a Value has to what C++ wants.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <metaflow/codec.h>

namespace metaflow::detail {

/// The shape that a value has as an array: of an array, or of lists of lists of numbers.
std::vector<std::size_t> shape_from(const Value& value, const Place& place);

/// Whether the bytes of this array are elements of the wanted type, row after row.
bool same_elements(const Value& array, char type, std::size_t item_size);

/// All elements of nested lists or an array, row-major, as the type that is wanted; an Error if one does not fit. Gives
/// back where the next one would go.
std::byte* convert_elements(const Value& value, const Place& place, char type, std::size_t item_size,
                            std::span<const std::size_t> shape, std::byte* at);

}  // namespace metaflow::detail
