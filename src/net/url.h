// Addresses, taken apart.
#pragma once

#include <string_view>

namespace metaflow::net {

/// "https://user:password@host:port/path?query" taken apart; views of the text.
struct Url {
  std::string_view scheme;
  std::string_view user;  // with the password
  std::string_view host;  // an IPv6 address with its brackets
  std::string_view port;
  std::string_view path;  // with what follows it
};
/// All empty if it has no "://".
Url parse_url(std::string_view text);

}  // namespace metaflow::net
