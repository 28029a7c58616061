// The size of a value with every shared part counted as often as it occurs.
//
// A pickle may refer to its own parts, so 100 bytes can represent a list of lists of lists with 10^30 numbers ("billion
// laughs"), or a list that contains itself. Reading such a document is as cheap as its size in bytes; traversing it is
// not. So the reader marks the containers whose traversal would cost more than the document's size justifies, and code
// that traverses a whole value checks the mark first.
#pragma once

#include <metaflow/value.h>

#include "value/nodes.h"

namespace metaflow::value {

/// The allowed expansion of a document of this size, in values of about 24 bytes. Every value takes at least one byte
/// of a pickle, so only shared parts can exceed it; real documents share their parts less than 64 times on average.
constexpr detail::Expansion expansion_limit(std::size_t payload) {
  return std::max<detail::Expansion>(std::uint64_t{payload} * 64, std::uint64_t{1} << 24);
}

/// The expansion of a value without parts.
detail::Expansion expansion_of_leaf(const Value& value);

/// Computes the expansion of everything below `root`; marks containers that exceed the limit or are cyclic as
/// kExcessive.
void measure_expansion(const Value& root, detail::Expansion limit);

}  // namespace metaflow::value
