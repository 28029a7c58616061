// The tokens by which the pages of a listing are asked for.
#pragma once

#include <set>
#include <string>

namespace metaflow::net {

/// A server that gives a token again would keep whoever follows for ever.
class PageTokens {
 public:
  /// False: it was there before.
  bool add(const std::string& token) { return seen_.insert(token).second; }

 private:
  std::set<std::string> seen_;
};

}  // namespace metaflow::net
