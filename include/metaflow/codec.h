// How C++ values become Python values and back. What can be stored:
//
//   bool, integers, float, double, enums (as int)     bool, int, float, int
//   std::complex<float or double>                     complex
//   std::string (UTF-8), std::filesystem::path        str
//   mf::Bytes, std::vector<std::byte>                 bytes
//   vector, array, deque, list                        list (a numpy.ndarray can be read, too)
//   map, unordered_map / set, unordered_set           dict / set
//   pair, tuple                                       tuple
//   optional, variant                                 None or the value, the value held
//   system_clock::time_point, durations               datetime (UTC, whole microseconds), timedelta
//   mf::Array<T>                                      numpy.ndarray
//   aggregates of these                               dict by member name
//
// and every type with a Codec. Reading never narrows silently: a value that does not fit is an Error that states which
// value and why. (A Python float read as a C++ float is rounded to the nearest; beyond its range it is an error.)
//
// Standard types are recognised by their shape, so that this header includes few headers.
#pragma once

#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <metaflow/bytes.h>
#include <metaflow/detail/convert_alternatives.h>
#include <metaflow/detail/convert_containers.h>
#include <metaflow/detail/convert_scalars.h>
#include <metaflow/detail/convert_struct.h>
#include <metaflow/value.h>

namespace metaflow {

/// How a type of your own is stored: specialise it with another storable type and the two conversions.
///
///   template <>
///   struct metaflow::Codec<Money> {
///     using Stored = std::int64_t;
///     static Stored save(const Money& money) { return money.cents; }
///     static Money load(Stored cents) { return Money{cents}; }
///   };
template <class T>
struct Codec;

namespace detail {

/// Whether a stored value can be read as a T. If not, a static_assert fails.
template <class T, bool fine = Storable<T>>
consteval bool readable() {
  static_assert(fine, "metaflow: no stored value can be read as this type");
  return fine;
}

/// The items of something that foreach can fan out over.
template <class T>
struct ForeachItems {};
template <class T>
  requires(Iterable<T> && !MapLike<T> && !std::same_as<T, std::string> && !std::same_as<T, Bytes> &&
           !std::same_as<T, std::vector<std::byte>>)
struct ForeachItems<T> {
  using Item = std::remove_const_t<typename T::value_type>;
};
template <class T>
  requires MapLike<T>
struct ForeachItems<T> {
  using Item = std::pair<typename T::key_type, typename T::mapped_type>;
};
template <class T>
concept Fannable = requires { typename ForeachItems<T>::Item; };

/// Stands for a value after a failed static_assert. Converts to everything, so that the compiler reports that one
/// failure only.
struct AnyConvertible {
  template <class T>
  operator T() const;
};

// Instantiated in the library.
extern template struct Coder<bool>;
extern template struct Coder<char>;
extern template struct Coder<short>;
extern template struct Coder<int>;
extern template struct Coder<long>;
extern template struct Coder<long long>;
extern template struct Coder<unsigned char>;
extern template struct Coder<unsigned short>;
extern template struct Coder<unsigned int>;
extern template struct Coder<unsigned long>;
extern template struct Coder<unsigned long long>;
extern template struct Coder<float>;
extern template struct Coder<double>;
extern template struct Coder<std::string>;
extern template struct Coder<Bytes>;
extern template struct Coder<std::vector<bool>>;
extern template struct Coder<std::vector<int>>;
extern template struct Coder<std::vector<long>>;
extern template struct Coder<std::vector<unsigned int>>;
extern template struct Coder<std::vector<unsigned long>>;
extern template struct Coder<std::vector<float>>;
extern template struct Coder<std::vector<double>>;
extern template struct Coder<std::vector<std::string>>;
extern template struct Coder<std::vector<std::byte>>;
extern template struct Coder<std::vector<std::vector<int>>>;
extern template struct Coder<std::vector<std::vector<double>>>;
extern template struct Coder<std::map<std::string, bool>>;
extern template struct Coder<std::map<std::string, int>>;
extern template struct Coder<std::map<std::string, double>>;
extern template struct Coder<std::map<std::string, std::string>>;
extern template struct Coder<std::map<std::string, std::vector<double>>>;

}  // namespace detail

template <class T>
T Value::as() const {
  T into{};
  if constexpr (detail::readable<T>()) detail::decode(*this, detail::Place{}, into);
  return into;
}

}  // namespace metaflow
