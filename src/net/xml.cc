#include "net/xml.h"

#include <charconv>
#include <cstdint>

#include "base/text.h"
#include "base/utf8.h"

namespace metaflow::net {

namespace {

constexpr std::size_t kDeepest = 32;

/// Appends the character of "&name;"; false if it is unknown.
bool append_entity(std::string& text, std::string_view name) {
  constexpr std::pair<std::string_view, char> kNames[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [known, character] : kNames) {
    if (name == known) {
      text += character;
      return true;
    }
  }
  if (!name.starts_with('#')) return false;
  name.remove_prefix(1);
  const bool hex = name.starts_with('x');
  if (hex) name.remove_prefix(1);
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), code, hex ? 16 : 10);
  if (error != std::errc() || end != name.data() + name.size() || name.empty() || code > base::kLastCodePoint)
    return false;
  base::append_utf8(text, code);
  return true;
}

bool append_text(std::string& text, std::string_view raw) {
  while (!raw.empty()) {
    const std::size_t ampersand = raw.find('&');
    text += raw.substr(0, ampersand);
    if (ampersand == std::string_view::npos) return true;
    const std::size_t end = raw.find(';', ampersand);
    if (end == std::string_view::npos || !append_entity(text, raw.substr(ampersand + 1, end - ampersand - 1)))
      return false;
    raw.remove_prefix(end + 1);
  }
  return true;
}

/// The name at the beginning of a tag's content.
std::string_view tag_name(std::string_view inside) {
  std::string_view name = inside.substr(0, inside.find_first_of(" \t\r\n/"));
  if (const std::size_t colon = name.find(':'); colon != std::string_view::npos) name.remove_prefix(colon + 1);
  return name;
}

/// The position of the '>' that ends the tag at position 0, ignoring quoted text.
std::size_t end_of_tag(std::string_view text) {
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quote != '\0') {
      if (text[i] == quote) quote = '\0';
    } else if (text[i] == '"' || text[i] == '\'') {
      quote = text[i];
    } else if (text[i] == '>') {
      return i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

const XmlElement* XmlElement::find(std::string_view path) const {
  const std::size_t slash = path.find('/');
  for (const XmlElement& child : children) {
    if (child.name != path.substr(0, slash)) continue;
    return slash == std::string_view::npos ? &child : child.find(path.substr(slash + 1));
  }
  return nullptr;
}

std::string XmlElement::text_of(std::string_view path) const {
  const XmlElement* found = find(path);
  return found == nullptr ? std::string() : found->text;
}

std::optional<XmlElement> parse_xml(std::string_view text) {
  XmlElement document;  // its only child is the root
  std::vector<XmlElement*> open{&document};
  auto skip_to = [&](std::string_view end) {
    const std::size_t at = text.find(end);
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + end.size());
    return true;
  };
  while (!text.empty()) {
    const std::size_t tag = text.find('<');
    const std::string_view before = text.substr(0, tag);
    if (open.size() > 1) {
      if (!append_text(open.back()->text, before)) return std::nullopt;
    } else if (!base::trim(before).empty() && !before.starts_with("\xEF\xBB\xBF")) {
      return std::nullopt;
    }
    if (tag == std::string_view::npos) break;
    text.remove_prefix(tag);
    if (text.starts_with("<!--")) {
      if (!skip_to("-->")) return std::nullopt;
      continue;
    }
    if (text.starts_with("<?")) {
      if (!skip_to("?>")) return std::nullopt;
      continue;
    }
    if (text.starts_with("<![CDATA[")) {
      const std::size_t end = text.find("]]>");
      if (end == std::string_view::npos || open.size() < 2) return std::nullopt;
      open.back()->text += text.substr(9, end - 9);
      text.remove_prefix(end + 3);
      continue;
    }
    if (text.starts_with("<!")) return std::nullopt;  // a DTD: AWS's responses have none
    const std::size_t end = end_of_tag(text);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view inside = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    if (inside.starts_with('/')) {
      if (open.size() < 2 || tag_name(inside.substr(1)) != open.back()->name) return std::nullopt;
      open.pop_back();
      continue;
    }
    const std::string_view name = tag_name(inside);
    const bool second_root = open.size() == 1 && !document.children.empty();
    if (name.empty() || second_root || open.size() > kDeepest) return std::nullopt;
    open.back()->children.push_back({std::string(name), {}, {}});
    if (!inside.ends_with('/')) open.push_back(&open.back()->children.back());
  }
  if (open.size() != 1 || document.children.empty()) return std::nullopt;
  return std::move(document.children.front());
}

std::string xml_escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '\r': escaped += "&#13;"; break;
      case '\n': escaped += "&#10;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

}  // namespace metaflow::net
