// Reads Python pickles, protocols 2 to 5, without executing code: an interpreter of the opcodes that supports a fixed
// list of classes (numpy arrays and scalars, datetime, sets, complex, paths, Metaflow's own) and rejects all others.
#pragma once

#include <metaflow/detail/pickler.h>
#include <metaflow/value.h>

#include "base/bytes.h"

namespace metaflow {
class Error;
}  // namespace metaflow

namespace metaflow::value {

/// Parses a complete pickle. Throws Error{invalid_value}, with the position, if it is invalid.
Document read_pickle(const base::SharedBytes& payload);
/// Whether it is the error for a value that C++ does not read, such as one of a class of the flow. The pickle is valid.
bool is_of_unknown_class(const Error& error);

/// Parses the payload of a finished Pickler.
Document read_back(const detail::Pickler& pickler);

/// Parses one item of a sequence in a payload written by this library's Pickler: [begin, end) as recorded by it. The
/// item of a dict is a tuple of key and value.
Document read_item(const base::SharedBytes& payload, std::size_t begin, std::size_t end);

}  // namespace metaflow::value
