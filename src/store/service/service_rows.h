// Parses the answers of the metadata service. They are not trusted: a field that is missing or has another type is
// ignored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "store/metadata.h"

namespace metaflow::store {

/// The body of an answer; null if it is not JSON.
base::Json parse_answer(std::string_view body);

/// The error text in an answer: a text, or an object that contains one, sometimes as JSON in JSON.
std::string words_of_answer(const base::Json& json);

/// The value of `name` in a row, in the form used in paths: a number as its digits. Empty if there is none.
std::string id_in(const base::Json& row, const char* name);
/// The time of registration, in microseconds since 1970; 0: unknown.
std::int64_t created_in(const base::Json& row);

RunInfo run_of(const base::Json& row);
FieldInfo field_of(const base::Json& row);
ArtifactInfo artifact_of(const base::Json& row);

/// Microseconds until the next heartbeat. The answer is a JSON text that holds JSON: "{\"wait_time_in_seconds\": 10}".
std::int64_t heartbeat_period(const base::Json& answer);

}  // namespace metaflow::store
