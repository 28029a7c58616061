// Reads Python pickles, protocols 2 to 5, without executing anything: a closed interpreter of the opcodes that knows a
// fixed list of classes (numpy arrays and scalars, datetime, sets, complex, paths, Metaflow's own) and refuses every
// other.
#pragma once

#include <metaflow/detail/pickler.h>
#include <metaflow/value.h>

#include "base/bytes.h"

namespace metaflow::value {

/// Parses one whole pickle. Throws Error{invalid_value}, with the position, for anything that is not one.
Document read_pickle(const base::SharedBytes& payload);

/// What a Pickler that has finished wrote, as a value again.
Document read_back(const detail::Pickler& pickler);

/// Parses one item of a sequence out of the middle of a payload that our own Pickler wrote: [begin, end) as it recorded
/// them. The item of a dict is a tuple of key and value.
Document read_item(const base::SharedBytes& payload, std::size_t begin, std::size_t end);

}  // namespace metaflow::value
