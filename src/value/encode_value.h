// Writes values as pickles.
#pragma once

#include <metaflow/detail/pickler.h>
#include <metaflow/value.h>

namespace metaflow::value {

/// Writes a value that was read elsewhere. It must live until the payload is stored.
void encode_value(detail::Pickler& out, const Value& value);

}  // namespace metaflow::value
