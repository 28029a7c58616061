// Implements a kind of decorator from its struct (metaflow/decorators.h). Use in the source file of the kind:
//
//   template std::optional<retry> find_decorator<retry>(const std::vector<Decorator>&);
//   const DecoratorKind kRetry = kind_of<retry>({.check = [](const retry& decorator) { ... }});
//
// and, in namespace metaflow, make_decorator(const retry&). (This header is expensive: it includes the codec of
// values.)
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <metaflow/codec.h>

#include "base/text.h"
#include "graph/decorators.h"
#include "value/json_value.h"

namespace metaflow::graph {

/// Metaflow's name: C++ keywords have an additional underscore here (catch_, namespace_).
inline std::string_view without_underscore(std::string_view name) {
  while (name.ends_with('_')) name.remove_suffix(1);
  return name;
}

template <class D>
std::string_view name_of() {
  return without_underscore(
      detail::identifier_before(detail::spelling_of_type<D>(), detail::spelling_of_type<D>().size()));
}

/// The untyped form for the public headers.
template <class D>
detail::Decorator describe_decorator(const D& decorator) {
  detail::Pickler pickler;
  detail::encode(pickler, decorator);
  pickler.finish();
  detail::Decorator described;
  described.name = name_of<D>();
  for (const auto& part : pickler.parts()) described.attributes += base::as_text(part);
  return described;
}

template <class D>
D typed(const Json& attributes) {
  Json members = attributes;
  for (std::string_view member : detail::kMemberNames<D>.names) {
    const std::string_view name = without_underscore(member);
    Json* named = members.find(name);
    if (named == nullptr || name == member) continue;
    Json value = std::move(*named);
    members.erase(name);
    members.set(member, std::move(value));
  }
  const Document document = value::document_of(members);
  D decorator{};
  detail::decode(document.root(), detail::Place{}, decorator);
  return decorator;
}

template <class D>
std::optional<D> find_decorator(const std::vector<Decorator>& decorators) {
  for (const Decorator& decorator : decorators) {
    if (decorator.name == name_of<D>()) return typed<D>(decorator.attributes);
  }
  return std::nullopt;
}

/// A kind without checks beyond the types of its attributes.
template <class D>
DecoratorKind kind_of() {
  return {.name = std::string(name_of<D>()),
          .defaults = [] { return from_description(describe_decorator(D{})).attributes; },
          .check = [](const Json& attributes) { (void)typed<D>(attributes); }};
}

/// `kCheck`: checks beyond the types of the attributes. Throws Error{invalid_value}.
template <class D, void (*kCheck)(const D&)>
DecoratorKind kind_of() {
  DecoratorKind kind = kind_of<D>();
  kind.check = [](const Json& attributes) { kCheck(typed<D>(attributes)); };
  return kind;
}

}  // namespace metaflow::graph
