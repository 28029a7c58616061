// What an API server answers, as objects.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace metaflow::kube {

using base::Json;

inline constexpr const char* kTitle = "Kubernetes";  // in errors, and for people

using base::text_at;

/// The end of a page of a list.
struct PageEnd {
  std::string resource_version{};
  std::string continue_token{};  // empty: it was the last page
};

/// Hands on the objects of a page one by one: only one of them is in memory besides the text. Nothing if it is no list;
/// then some objects may have been handed on. What `take` throws comes out.
std::optional<PageEnd> parse_page(std::string_view text, const std::function<void(Json&&)>& take);

/// A line of a watch.
struct WatchEvent {
  std::string type{};     // "ADDED"
  Json object{};          // is one
  std::string version{};  // of the object; never empty, but for an ERROR
};
/// Nothing if it is no event.
std::optional<WatchEvent> parse_event(std::string_view line);

/// Whether a namespace can be called so. It becomes a part of addresses.
bool is_namespace(std::string_view name);

/// Cuts a stream into lines. One that is longer than `most` makes add() false.
class Lines {
 public:
  explicit Lines(std::size_t most) : most_(most) {}
  bool add(std::string_view bytes);
  /// The next whole line, without its end; valid until the next add(). Nothing if there is none.
  std::optional<std::string_view> next();

 private:
  std::string buffer_;
  std::size_t begin_ = 0;    // of what was not given back yet
  std::size_t scanned_ = 0;  // up to here there is no end of a line
  std::size_t most_;
};

}  // namespace metaflow::kube
