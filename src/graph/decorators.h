// Decorators below the types: parsing --with, defaults, checks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/decorators.h>
#include <metaflow/detail/description.h>
#include <metaflow/value.h>

#include "base/json.h"

namespace metaflow::graph {

using base::Json;

/// A decorator of a step with the values of all its attributes.
struct Decorator {
  std::string name;
  Json attributes = Json::object();
  bool statically_defined = true;  // in the program; else by --with
};

/// The decorator of a --with option: "resources:cpu=4,memory=8000". Values are JSON where they parse as such, else
/// text. Throws Error{unknown_decorator, unknown_attribute, invalid_value}.
Decorator parse_decorator(std::string_view spec);

/// Throws Error{invalid_value} if the attributes of a decorator in the program cannot be.
void check_decorator(const Decorator& decorator);

/// Back to the text that parse_decorator reads, for child processes.
std::string decorator_spec(const Decorator& decorator);

/// From the untyped form that the public header makes.
Decorator from_description(const detail::Decorator& decorator);

/// The decorator as its struct, if the step has it.
template <class D>
std::optional<D> find_decorator(const std::vector<Decorator>& decorators);

bool has_decorator(const std::vector<Decorator>& decorators, std::string_view name);

/// The decorators of a step as a task has them: those in the program, and those of --with that it has not got.
std::vector<Decorator> decorators_of(const detail::StepDescription& step, const std::vector<std::string>& with);

extern template std::optional<resources> find_decorator<resources>(const std::vector<Decorator>&);
extern template std::optional<environment> find_decorator<environment>(const std::vector<Decorator>&);
extern template std::optional<retry> find_decorator<retry>(const std::vector<Decorator>&);
extern template std::optional<timeout> find_decorator<timeout>(const std::vector<Decorator>&);
extern template std::optional<catch_> find_decorator<catch_>(const std::vector<Decorator>&);
extern template std::optional<local> find_decorator<local>(const std::vector<Decorator>&);
extern template std::optional<kubernetes> find_decorator<kubernetes>(const std::vector<Decorator>&);
extern template std::optional<batch> find_decorator<batch>(const std::vector<Decorator>&);

}  // namespace metaflow::graph
