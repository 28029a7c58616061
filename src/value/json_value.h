// Conversion between JSON and Values.
#pragma once

#include <metaflow/detail/pickler.h>
#include <metaflow/value.h>

#include "base/json.h"

namespace metaflow::value {

using base::Json;

Json json_of(const Value& value);
Document document_of(const Json& json);
void encode_json(detail::Pickler& out, const Json& json);

}  // namespace metaflow::value
