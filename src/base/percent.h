// Percent-encoding of URLs (RFC 3986).
#pragma once

#include <string>
#include <string_view>

namespace metaflow::base {

/// Encodes all characters except letters, digits and -._~ as %XX. `keep_slashes`: for paths.
std::string percent_encode(std::string_view text, bool keep_slashes = false);
/// Invalid escapes are left as they are.
std::string percent_decode(std::string_view text);

}  // namespace metaflow::base
