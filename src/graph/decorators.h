// Decorators below the types: what kinds there are, parsing --with, defaults, checks.
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
  bool statically_defined = true;  // in the program; else by --with
};

/// Whether it may hold secrets: the values of `environment`. They stand in no command line, which every user of the
/// machine can read, and in no file that others can.
bool may_hold_secrets(const Decorator& decorator);
/// The attributes for everybody's eyes: each value that may be a secret is "***".
Json public_attributes(const Decorator& decorator);

/// All that there is to know of the decorators of a name. A kind has one file: decorator_kind.h says what is in it.
struct DecoratorKind {
  std::string name;                      // "catch"
  Json (*defaults)() = nullptr;          // all attributes, with their defaults
  void (*check)(const Json&) = nullptr;  // of attributes. Throws Error{invalid_value}
  void (*normalise)(Json&) = nullptr;    // what may be written in another form on a command line; null: nothing
  /// Throws Error{invalid_flow} if the decorator cannot be on a step; null: it can be on any.
  void (*check_step)(const Step&) = nullptr;
};

/// The kinds that a program knows. Immutable.
class DecoratorTable {
 public:
  explicit DecoratorTable(std::vector<const DecoratorKind*> kinds);

  /// The decorator of a --with option: "resources:cpu=4,memory=8000". Values are JSON where they parse as such, else
  /// text. Throws Error{unknown_decorator, unknown_attribute, invalid_value}.
  Decorator parse(std::string_view spec) const;
  /// Of --with options, those that tasks need: without what may hold secrets, which reaches a task as its environment.
  std::vector<std::string> for_tasks(const std::vector<std::string>& with) const;
  /// The options for everybody's eyes: `environment:vars={"TOKEN":"***"}`.
  std::vector<std::string> for_readers(const std::vector<std::string>& with) const;
  /// Throws Error{unknown_decorator}.
  const DecoratorKind& kind(const std::string& name) const;
  /// Throws Error{invalid_value} if the attributes of a decorator in the program cannot be.
  void check(const Decorator& decorator) const;

  /// The decorators of a step as a task has them: those in the program, and those of --with that it has not got.
  std::vector<Decorator> of_step(const detail::StepDescription& step, const std::vector<std::string>& with) const;

 private:
  std::vector<const DecoratorKind*> kinds_;  // by name
};

/// Those that no platform brings: catch, environment, resources, retry, timeout.
std::vector<const DecoratorKind*> core_decorators();

/// From the untyped form that the public header makes.
Decorator from_description(const detail::Decorator& decorator);

/// The decorator as its struct, if the step has it. Each kind's file instantiates it.
template <class D>
std::optional<D> find_decorator(const std::vector<Decorator>& decorators);

bool has_decorator(const std::vector<Decorator>& decorators, std::string_view name);

/// Microseconds that an attempt of a step may take; 0: it has no timeout.
std::int64_t time_limit(const std::vector<Decorator>& decorators);

// Other forms of attributes, for DecoratorKind::normalise.

/// Metaflow takes numbers for values of environment variables and the like: in an object, or the objects of a list.
void make_text(Json& values);
/// "a=b,c=d" as Metaflow takes it for a dict of texts. Throws Error{invalid_value}.
void make_dict(Json& text);
/// "a,b" for a list of texts.
void make_list(Json& text);
/// A text that looks like something else, such as an image named 12.
void make_plain(Json& text);
/// Applies one of these to the attributes of these names.
void change(Json& attributes, std::initializer_list<const char*> names, void (*how)(Json&));

}  // namespace metaflow::graph
