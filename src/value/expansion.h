// How large a value gets when its shared parts are written out as often as they occur.
//
// A pickle may refer to a part of itself, so 100 bytes can stand for a list of lists of lists with 10^30 numbers
// ("billion laughs"), or for a list that holds itself. Reading such a document costs what it has bytes; walking it does
// not. So the reader marks the containers whose walk would cost more than the document's size justifies, and who walks
// a whole value looks at the mark first.
#pragma once

#include <metaflow/value.h>

#include "value/nodes.h"

namespace metaflow::value {

/// What a document of this many bytes may expand to, in values of about 24 bytes: no value takes less than one byte of
/// a pickle, so only shared parts can get beyond, and parts shared 64 times on average are common sense.
constexpr detail::Expansion expansion_limit(std::size_t payload) {
  return std::max<detail::Expansion>(std::uint64_t{payload} * 64, std::uint64_t{1} << 24);
}

/// What a value without parts counts.
detail::Expansion expansion_of_leaf(const Value& value);

/// Computes the expansion of everything below `root` and marks what is beyond the limit or endless as kExcessive.
void measure_expansion(const Value& root, detail::Expansion limit);

}  // namespace metaflow::value
