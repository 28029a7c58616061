// What the metadata service answers, as values. Nothing in it is taken for granted: what is missing, or of another
// type, is not there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "store/metadata.h"

namespace metaflow::store {

/// The body of an answer; null if it is no JSON.
base::Json parse_answer(std::string_view body);

/// What the service says in an answer that is an error: a text, or an object with one, sometimes as JSON in JSON.
std::string words_of_answer(const base::Json& json);

/// The value of `name` in a row that the service gave, as it stands in paths: of a number its digits. Empty if there is
/// none.
std::string id_in(const base::Json& row, const char* name);
/// When it was registered, in microseconds since 1970; 0: it does not say.
std::int64_t created_in(const base::Json& row);

RunInfo run_of(const base::Json& row);
FieldInfo field_of(const base::Json& row);
ArtifactInfo artifact_of(const base::Json& row);

/// Microseconds until the next heartbeat. The answer is a JSON text that holds JSON: "{\"wait_time_in_seconds\": 10}".
std::int64_t heartbeat_period(const base::Json& answer);

}  // namespace metaflow::store
