// A parser for the XML of AWS's older services: elements and text. Attributes, comments and processing instructions are
// skipped; the only entities are XML's five and numeric ones.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow::net {

struct XmlElement {
  std::string name;  // without the prefix of a namespace
  std::string text;  // without that of children
  std::vector<XmlElement> children;

  /// The first child, or descendant along "a/b", of this name; nullptr if there is none.
  const XmlElement* find(std::string_view path) const;
  /// The text of that element; empty if there is none.
  std::string text_of(std::string_view path) const;
};

/// The root element; nothing if the text is damaged or more than 32 levels deep.
std::optional<XmlElement> parse_xml(std::string_view text);

/// Escapes text for use in an element.
std::string xml_escape(std::string_view text);

}  // namespace metaflow::net
