// JSON and Values.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <metaflow/detail/pickler.h>
#include <metaflow/value.h>

namespace metaflow::value {

using Json = nlohmann::ordered_json;

Json json_of(const Value& value);
Document document_of(const Json& json);
void encode_json(detail::Pickler& out, const Json& json);

}  // namespace metaflow::value
