// Parses URLs.
#pragma once

#include <string_view>

namespace metaflow::net {

/// The parts of "https://user:password@host:port/path?query"; views of the text.
struct Url {
  std::string_view scheme;
  std::string_view user;  // including the password
  std::string_view host;  // an IPv6 address with its brackets
  std::string_view port;
  std::string_view path;  // including the query
};
/// All empty if it has no "://".
Url parse_url(std::string_view text);

}  // namespace metaflow::net
