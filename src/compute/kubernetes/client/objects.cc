#include "compute/kubernetes/client/objects.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/json.h"
#include "base/text.h"

namespace metaflow::kube {

std::optional<PageEnd> parse_page(std::string_view text, const std::function<void(Json&&)>& take) {
  const auto page = Json::parse_object(text, [&](std::string_view list, Json& item) {
    if (list != "items" || !item.is_object()) return false;
    take(std::move(item));
    return true;
  });
  if (!page || !page->contains("items")) return std::nullopt;
  return PageEnd{text_at(*page, {"metadata", "resourceVersion"}), text_at(*page, {"metadata", "continue"})};
}

std::optional<WatchEvent> parse_event(std::string_view line) {
  auto event = Json::parse_object(line);
  Json* object = event ? event->find("object") : nullptr;
  if (object == nullptr || !object->is_object()) return std::nullopt;
  WatchEvent parsed{.type = (*event)["type"].text(), .version = text_at(*object, {"metadata", "resourceVersion"})};
  if (parsed.version.empty() && parsed.type != "ERROR") return std::nullopt;
  parsed.object = std::move(*object);
  return parsed;
}

bool is_namespace(std::string_view name) {
  constexpr std::size_t kLongest = 63;
  if (name.empty() || name.size() > kLongest || name.front() == '-' || name.back() == '-') return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return base::is_lower(c) || base::is_digit(c) || c == '-'; });
}

bool Lines::add(std::string_view bytes) {
  buffer_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  buffer_ += bytes;
  return buffer_.size() <= most_ || buffer_.find('\n') < most_;
}

std::optional<std::string_view> Lines::next() {
  const std::size_t end = buffer_.find('\n', scanned_);
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    return std::nullopt;
  }
  const std::string_view line = std::string_view(buffer_).substr(begin_, end - begin_);
  begin_ = scanned_ = end + 1;
  return line;
}

}  // namespace metaflow::kube
