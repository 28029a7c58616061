// Decorators without their types.
#pragma once

#include <concepts>
#include <string>

namespace metaflow::detail {

/// One decorator of one step: its name and its attributes, as a pickled dict.
struct Decorator {
  std::string name;
  std::string attributes;
};

/// Decorators have a function make_decorator(const D&), found by argument-dependent lookup.
template <class D>
concept DecoratorStruct = requires(const D& decorator) {
  { make_decorator(decorator) } -> std::same_as<Decorator>;
};

}  // namespace metaflow::detail
