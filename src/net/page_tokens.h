// Checks the page tokens of a listing.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <unordered_set>

namespace metaflow::net {

/// Detects listings that never end: a repeated token, only empty pages, or an unlimited number of pages. Stores a hash
/// of each token, so its memory is bounded.
class PageTokens {
 public:
  static constexpr std::size_t kMaxPages = 200'000;
  static constexpr std::size_t kMaxEmptyPages = 1'000;  // in succession

  /// `token`: the token for the next page. `is_empty`: the current page was empty. False: do not request the next page.
  bool add(const std::string& token, bool is_empty = false) {
    empty_ = is_empty ? empty_ + 1 : 0;
    return empty_ <= kMaxEmptyPages && seen_.size() < kMaxPages && seen_.insert(std::hash<std::string>{}(token)).second;
  }

 private:
  std::unordered_set<std::size_t> seen_;
  std::size_t empty_ = 0;
};

}  // namespace metaflow::net
