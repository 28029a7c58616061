// Objects in the answers of an API server.
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

/// Reports the objects of a page one by one: only one of them is in memory besides the text. Returns nothing if the
/// text is not a list; some objects may have been reported then. Exceptions of `take` pass through.
std::optional<PageEnd> parse_page(std::string_view text, const std::function<void(Json&&)>& take);

/// A line of a watch.
struct WatchEvent {
  std::string type{};     // "ADDED"
  Json object{};          // a JSON object
  std::string version{};  // of the object; empty only for an ERROR
};
/// Parses a line; nothing if it is not an event.
std::optional<WatchEvent> parse_event(std::string_view line);

/// Whether `name` is a valid name of a namespace. It becomes a part of URLs.
bool is_namespace(std::string_view name);

/// Cuts a stream into lines. add() returns false for a line longer than `most`.
class Lines {
 public:
  explicit Lines(std::size_t most) : most_(most) {}
  bool add(std::string_view bytes);
  /// Returns the next complete line without its end, valid until the next add(); nothing if there is none.
  std::optional<std::string_view> next();

 private:
  std::string buffer_;
  std::size_t begin_ = 0;    // of what was not returned yet
  std::size_t scanned_ = 0;  // no line ends before this
  std::size_t most_;
};

}  // namespace metaflow::kube
