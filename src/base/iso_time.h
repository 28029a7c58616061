// Times in the formats of other programs: ISO 8601, and HTTP dates. UTC, in seconds since 1970. (The formats of this
// program: clock.h.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace metaflow::base {

/// "2026-11-23T01:18:43Z", optionally with a fraction (which is dropped) or a zero offset; nothing if it is invalid.
std::optional<std::int64_t> parse_iso_time(std::string_view text);

/// ISO's basic form: "20130524T000000Z"
std::string basic_iso_time(std::int64_t seconds);

/// "Sun, 06 Nov 1994 08:49:37 GMT"; nothing if it is invalid.
std::optional<std::int64_t> parse_http_date(std::string_view text);

}  // namespace metaflow::base
