// Decorators without their types: the available kinds, parsing of --with, defaults, checks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/decorators.h>
#include <metaflow/detail/description.h>

#include "base/json.h"

namespace metaflow::graph {

using base::Json;

struct Step;

/// A decorator of a step with the values of all its attributes.
struct Decorator {
  std::string name;
  Json attributes = Json::object();
  bool statically_defined = true;  // in the program; false: by --with
};

/// Whether a decorator may hold secrets: the values of `environment`. Secrets are never on a command line, which every
/// user of the machine can read, nor in a file that others can read.
bool may_hold_secrets(const Decorator& decorator);
/// The attributes for public output: each value that may be a secret is "***".
Json public_attributes(const Decorator& decorator);

/// The properties of a kind of decorator. Each kind has one source file: see decorator_kind.h.
struct DecoratorKind {
  std::string name;                      // "catch"
  Json (*defaults)() = nullptr;          // all attributes, with their defaults
  void (*check)(const Json&) = nullptr;  // checks attributes. Throws Error{invalid_value}
  void (*normalise)(Json&) = nullptr;    // converts alternative forms of the command line; null: there are none
  /// Throws Error{invalid_flow} if the step cannot have the decorator; null: every step can.
  void (*check_step)(const Step&) = nullptr;
};

/// The kinds of decorators of a program. Immutable.
class DecoratorTable {
 public:
  explicit DecoratorTable(std::vector<const DecoratorKind*> kinds);

  /// The decorator of a --with option: "resources:cpu=4,memory=8000". A value is JSON if it parses as JSON, else text.
  /// Throws Error{unknown_decorator, unknown_attribute, invalid_value}.
  Decorator parse(std::string_view spec) const;
  /// The --with options for the command line of tasks: without secrets, which reach a task through its environment.
  std::vector<std::string> for_tasks(const std::vector<std::string>& with) const;
  /// The options for public output: `environment:vars={"TOKEN":"***"}`.
  std::vector<std::string> for_readers(const std::vector<std::string>& with) const;
  /// Sorted by name.
  const std::vector<const DecoratorKind*>& kinds() const { return kinds_; }
  /// Throws Error{unknown_decorator}.
  const DecoratorKind& kind(const std::string& name) const;
  /// Throws Error{invalid_value} if the attributes of a decorator in the program are invalid.
  void check(const Decorator& decorator) const;

  /// The decorators of a step in a task: those in the program, and those of --with that it does not have yet.
  std::vector<Decorator> of_step(const detail::StepDescription& step, const std::vector<std::string>& with) const;

 private:
  std::vector<const DecoratorKind*> kinds_;  // by name
};

/// The kinds that belong to no platform: catch, environment, resources, retry, timeout.
std::vector<const DecoratorKind*> core_decorators();

/// From the untyped form of the public header.
Decorator from_description(const detail::Decorator& decorator);

/// The decorator as its struct, if the step has it. Each kind's file instantiates it.
template <class D>
std::optional<D> find_decorator(const std::vector<Decorator>& decorators);

bool has_decorator(const std::vector<Decorator>& decorators, std::string_view name);

/// Time limit of an attempt of a step in microseconds; 0: none.
std::int64_t time_limit(const std::vector<Decorator>& decorators);

// Conversions of alternative forms of attributes, for DecoratorKind::normalise.

/// Converts numbers to texts, as Metaflow does for environment variables and the like: in an object, or in the objects
/// of a list.
void make_text(Json& values);
/// Converts "a=b,c=d" to a dict of texts, as Metaflow does. Throws Error{invalid_value}.
void make_dict(Json& text);
/// Converts "a,b" to a list of texts.
void make_list(Json& text);
/// Converts a value that was parsed as JSON back to text, such as an image named 12.
void make_plain(Json& text);
/// Applies one of these conversions to the attributes of these names.
void change(Json& attributes, std::initializer_list<const char*> names, void (*how)(Json&));

}  // namespace metaflow::graph
