// The Python classes that a pickle may name, and what calling them makes.
#pragma once

#include <metaflow/value.h>

#include <string_view>

namespace metaflow::detail {
struct Arena;
struct ArrayNode;
}  // namespace metaflow::detail

namespace metaflow::value {

/// Stands in for Python's import, call and __setstate__ while a pickle is read. Throws Error{invalid_value}.
class PythonClasses {
 public:
  explicit PythonClasses(detail::Arena& arena) : arena_(arena) {}

  /// The class or function `module.name`, as an object Value without arguments; throws if it is not on the list.
  Value global(std::string_view module, std::string_view name);
  /// callable(*arguments), or callable.__new__(callable, *arguments).
  Value call(const Value& callable, const Value& arguments);
  /// object.__setstate__(state); gives back the object.
  Value build(const Value& object, const Value& state);

 private:
  Value object(std::string_view class_name, const Value& arguments);
  Value numpy_scalar(const Value& arguments);
  void fill_array(detail::ArrayNode& node, const Value& shape, const Value& dtype, bool column_major,
                  std::span<const std::byte> bytes);
  void set_array_state(detail::ArrayNode& node, const Value& state);

  detail::Arena& arena_;
};

}  // namespace metaflow::value
