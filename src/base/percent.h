// Percent-encoding, as URLs have it (RFC 3986).
#pragma once

#include <string>
#include <string_view>

namespace metaflow::base {

/// All but letters, digits and -._~ as %XX. `keep_slashes`: for paths.
std::string percent_encode(std::string_view text, bool keep_slashes = false);
/// What is not encoded as it should be stays as it is.
std::string percent_decode(std::string_view text);

}  // namespace metaflow::base
