// The HTTP header Content-Range: which bytes of an object an answer contains.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace metaflow::store {

struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;   // at least `first`
  std::uint64_t total = 0;  // of the whole object; more than `last`

  std::uint64_t size() const { return last - first + 1; }
};

/// Parses "bytes 0-8388607/123456789". Nothing for anything else, also if the total is "*".
std::optional<ContentRange> parse_content_range(std::string_view text);

/// Parses a size in a header or a listing: digits only.
std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace metaflow::store
