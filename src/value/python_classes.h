// The Python classes that a pickle may name, and what calling them makes.
#pragma once

#include <string>
#include <string_view>

#include <metaflow/value.h>

namespace metaflow::detail {
class Arena;
struct ArrayNode;
}  // namespace metaflow::detail

namespace metaflow::value {

/// Throws Error{invalid_value}: the pickle is none, or one that is not for us.
[[noreturn]] void fail_pickle(const std::string& what);

/// Stands in for Python's import, call and __setstate__ while a pickle is read. Throws Error{invalid_value}.
class PythonClasses {
 public:
  /// `budget`: how many values calls may make out of shared arguments, see expansion.h.
  PythonClasses(detail::Arena& arena, std::uint64_t budget) : arena_(arena), budget_(budget) {}

  /// The class or function `module.name`, as an object Value without arguments; throws if it is not on the list.
  Value global(std::string_view module, std::string_view name);
  /// callable(*arguments), or callable.__new__(callable, *arguments).
  Value call(const Value& callable, const Value& arguments);
  /// object.__setstate__(state); gives back the object.
  Value build(const Value& object, const Value& state);

  /// Some array has no bytes, but may still have any number of rows.
  bool has_empty_arrays() const { return has_empty_arrays_; }

 private:
  enum class Order { row_major, column_major };

  void charge(std::uint64_t values);
  Value object(std::string_view class_name, const Value& arguments);
  Value set(const Value& arguments);
  Value dict(const Value& arguments);
  Value latin1(const Value& arguments);
  Value path(const Value& arguments);
  Value numpy_scalar(const Value& arguments);
  Value numpy_from_buffer(const Value& arguments);
  void fill_array(detail::ArrayNode& node, const Value& shape, const Value& dtype, Order order,
                  std::span<const std::byte> bytes);
  void set_array_state(detail::ArrayNode& node, const Value& state);

  detail::Arena& arena_;
  std::uint64_t budget_;
  bool has_empty_arrays_ = false;
};

}  // namespace metaflow::value
