// The tokens by which the pages of a listing are asked for.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <unordered_set>

namespace metaflow::net {

/// A server that gives a token again, page after page with nothing, or pages without end would keep whoever follows for
/// ever. What is kept of a token has a fixed size.
class PageTokens {
 public:
  static constexpr std::size_t kMostPages = 200'000;
  static constexpr std::size_t kMostEmptyPages = 1'000;  // one after the other

  /// `token`: that a page gave for the next one. `is_empty`: the page had nothing in it. False: do not ask for the next
  /// one.
  bool add(const std::string& token, bool is_empty = false) {
    empty_ = is_empty ? empty_ + 1 : 0;
    return empty_ <= kMostEmptyPages && seen_.size() < kMostPages &&
           seen_.insert(std::hash<std::string>{}(token)).second;
  }

 private:
  std::unordered_set<std::size_t> seen_;
  std::size_t empty_ = 0;
};

}  // namespace metaflow::net
