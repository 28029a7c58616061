// The XML that AWS's older services answer with: elements and text. Attributes, comments and processing instructions
// are passed over; there are no entities but XML's own five and numbers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow::net {

struct XmlElement {
  std::string name;  // without the prefix of a namespace
  std::string text;  // directly in it
  std::vector<XmlElement> children;

  /// The first child, or descendant along "a/b", of this name; nullptr if there is none.
  const XmlElement* find(std::string_view path) const;
  /// Its text; empty if there is none.
  std::string text_of(std::string_view path) const;
};

/// The root element; nothing if the text is damaged or more than 32 levels deep.
std::optional<XmlElement> parse_xml(std::string_view text);

/// Text as it stands in an element.
std::string xml_escape(std::string_view text);

}  // namespace metaflow::net
