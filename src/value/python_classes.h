// The Python classes that a pickle may contain, and the values that calling them creates.
#pragma once

#include <string>
#include <string_view>

#include <metaflow/value.h>

namespace metaflow::detail {
class Arena;
struct ArrayNode;
}  // namespace metaflow::detail

namespace metaflow::value {

/// Throws Error{invalid_value}: the data is not a pickle, or not a supported one.
[[noreturn]] void fail_pickle(const std::string& what);

/// Throws Error{invalid_value}: the pickle is valid, but C++ does not read such values.
[[noreturn]] void fail_unknown(const std::string& what);

/// Emulates Python's import, call and __setstate__ while a pickle is read. Throws Error{invalid_value}.
class PythonClasses {
 public:
  /// `budget`: the number of values that calls may create from shared arguments, see expansion.h.
  PythonClasses(detail::Arena& arena, std::uint64_t budget) : arena_(arena), budget_(budget) {}

  /// The class or function `module.name`, as an object Value without arguments; throws if it is not supported.
  Value global(std::string_view module, std::string_view name);
  /// callable(*arguments), or callable.__new__(callable, *arguments).
  Value call(const Value& callable, const Value& arguments);
  /// object.__setstate__(state); returns the object.
  Value build(const Value& object, const Value& state);

  /// Whether an array has no bytes: it may still have any number of rows.
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
