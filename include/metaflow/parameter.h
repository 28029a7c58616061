// Options of `run` that are artifacts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <metaflow/codec.h>
#include <metaflow/detail/kinds.h>

namespace metaflow {

namespace detail {

template <class T>
struct ParameterTypeOf {
  static constexpr ParameterType value = ParameterType::json;
};
template <class T>
  requires(std::same_as<T, bool>)
struct ParameterTypeOf<T> {
  static constexpr ParameterType value = ParameterType::boolean;
};
template <class T>
  requires((std::integral<T> && !std::same_as<T, bool>) || std::is_enum_v<T>)
struct ParameterTypeOf<T> {
  static constexpr ParameterType value = ParameterType::integer;
};
template <class T>
  requires(std::same_as<T, float> || std::same_as<T, double>)
struct ParameterTypeOf<T> {
  static constexpr ParameterType value = ParameterType::real;
};
template <class T>
  requires(std::same_as<T, std::string> || PathLike<T>)
struct ParameterTypeOf<T> {
  static constexpr ParameterType value = ParameterType::text;
};
template <class T>
  requires(SequenceLike<T> && ParameterTypeOf<typename T::value_type>::value != ParameterType::json &&
           !std::same_as<T, std::string>)
struct ParameterTypeOf<T> {
  static constexpr ParameterType value = ParameterType::list;
};
template <class T>
  requires(OptionalLike<T>)
struct ParameterTypeOf<T> : ParameterTypeOf<typename T::value_type> {};

/// Whether `run`, or a later `resume` of the run, has an option or setting of this name: a parameter cannot have it.
/// Letter case does not count, and '_' equals '-'.
constexpr bool reserved_option_name(std::string_view name) {
  auto plain = [](char c) { return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (std::string_view reserved : {"params",
                                    "with",
                                    "tag",
                                    "namespace",
                                    "obj",
                                    "tags",
                                    "decospecs",
                                    "run-id-file",
                                    "max-num-splits",
                                    "max-workers",
                                    "max-log-size",
                                    "user-namespace",
                                    "run-id",
                                    "task-id",
                                    "runner-attribute-file",
                                    "json",
                                    "help",
                                    "quiet",
                                    "origin-run-id",
                                    "clone-only",
                                    "reentrant",
                                    "resume-identifier",
                                    "step-to-rerun"}) {
    if (name.size() != reserved.size()) continue;
    bool equal = true;
    for (std::size_t i = 0; i < name.size(); ++i) equal = equal && plain(name[i]) == reserved[i];
    if (equal) return true;
  }
  return false;
}

/// The untyped part of a Parameter.
struct ParameterBase {
  std::string help;
  std::string name;       // option name; empty: the member's name
  std::string separator;  // between the items of a list
  bool required = false;
};

}  // namespace detail

/// An option of `run`, `--n 100` or METAFLOW_RUN_N=100, and an artifact of every step, read-only.
///
///   mf::Parameter<int> n{{.value = 100, .help = "how many points"}};
///   mf::Parameter<std::string> source{{.help = "the file to read"}};     // no value: required
///   mf::Parameter<std::optional<double>> alpha;                          // may be left out: nullopt
///   mf::Parameter<std::vector<int>> sizes{{.value = {{1, 2, 3}}}};       // --sizes 1,2,3
///   mf::Parameter<std::map<std::string, int>> limits;                    // --limits '{"a": 1}'
///
/// Numbers, bool, text and paths are written literally, lists with separators or as JSON, all other types as JSON.
template <class T>
class Parameter : private detail::ParameterBase {
 public:
  /// Declares a parameter.
  struct Options {
    std::optional<T> value{};     ///< the default; without it the option is required (unless T is an optional)
    std::string help{};           ///< for --help
    std::string name{};           ///< option name; empty: the member's name
    std::string separator = ",";  ///< between the items of a list
  };

  Parameter() : Parameter(Options{}) {}
  /// A parameter with these options. `run` sets its value before the first step.
  explicit Parameter(Options options)
      : ParameterBase{std::move(options.help), std::move(options.name), std::move(options.separator),
                      !options.value.has_value() && !detail::OptionalLike<T>} {
    if (options.value) value_ = std::move(*options.value);
  }
  /// Not for use: explains what to write instead of `Parameter<int> n = 5`.
  template <class U>
    requires(std::convertible_to<U, T> && !std::convertible_to<U, Options> &&
             !std::is_base_of_v<detail::Uncopyable, std::remove_cvref_t<U>> &&
             !std::same_as<std::remove_cvref_t<U>, Parameter>)
  Parameter(U&& /*value*/) {
    static_assert(!std::same_as<U, U>, "metaflow: write the default of a parameter as an option: {{.value = 5}}");
  }
  Parameter(const Parameter&) = default;
  Parameter& operator=(const Parameter&) = delete;

  /// The value. Steps cannot change it.
  const T& operator*() const noexcept { return value_; }
  /// Access to a member of the value.
  const T* operator->() const noexcept { return &value_; }
  /// The value, where the context requires a `T`.
  operator const T&() const noexcept { return value_; }

 private:
  template <class>
  friend struct ParameterAccess;
  T value_{};
};

/// Library access to a Parameter.
template <class T>
struct ParameterAccess {
  static const detail::ParameterBase& base(const Parameter<T>& parameter) { return parameter; }
  static T& value(Parameter<T>& parameter) { return parameter.value_; }
};

namespace detail {

template <class T>
struct Convert<Parameter<T>> {
  static constexpr bool kStorable = Storable<T>;
  static constexpr unsigned kCategory = Convert<T>::kCategory;
  static void encode(Pickler& out, const Parameter<T>& value) { detail::encode(out, *value); }
  static void decode(const Value& value, const Place& place, Parameter<T>& into) {
    detail::decode(value, place, ParameterAccess<T>::value(into));
  }
};

template <class T>
  requires requires { typename ForeachItems<T>::Item; }
struct ForeachItems<Parameter<T>> : ForeachItems<T> {};

}  // namespace detail
}  // namespace metaflow
