#include "compute/kubernetes/client/objects.h"

#include <utility>

#include "base/text.h"

namespace metaflow::kube {

std::optional<PageEnd> parse_page(std::string_view text, const std::function<void(Json&&)>& take) {
  if (base::is_deep_json(text)) return std::nullopt;
  bool in_items = false;
  bool had_items = false;
  // Depth 1 are the keys of the list, depth 2 the objects in its items.
  const Json::parser_callback_t callback = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth == 1 && event == Json::parse_event_t::key) {
      in_items = parsed.is_string() && parsed.get_ref<const std::string&>() == "items";
      had_items = had_items || in_items;
    }
    if (depth != 2 || event != Json::parse_event_t::object_end || !in_items) return true;
    take(std::move(parsed));
    return false;
  };
  const Json page = Json::parse(text, callback, false);
  if (!page.is_object() || !had_items) return std::nullopt;
  return PageEnd{text_at(page, {"metadata", "resourceVersion"}), text_at(page, {"metadata", "continue"})};
}

std::optional<WatchEvent> parse_event(std::string_view line) {
  auto event = parse_object(line);
  if (!event) return std::nullopt;
  const auto object = event->find("object");
  if (object == event->end() || !object->is_object()) return std::nullopt;
  WatchEvent parsed{.type = text_at(*event, {"type"}), .version = text_at(*object, {"metadata", "resourceVersion"})};
  if (parsed.version.empty() && parsed.type != "ERROR") return std::nullopt;
  parsed.object = std::move(*object);
  return parsed;
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
