// Common parts of the conversions between C++ and Python (codec.h): the place of a value, checked reading, the kinds of
// types.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <metaflow/bytes.h>
#include <metaflow/detail/pickler.h>
#include <metaflow/value.h>

namespace metaflow {

template <class T>
struct Codec;  // codec.h

namespace detail {

/// The location of a value under conversion, for error messages: a chain from the inside out.
struct Place {
  const Place* outer = nullptr;
  std::string_view name;  // of an artifact or member; empty: an item
  std::size_t index = 0;
};

[[noreturn]] void throw_mismatch(const Value& value, const Place& place, std::string_view wanted);
[[noreturn]] void throw_wrong_size(const Value& value, const Place& place, std::size_t wanted);
bool boolean_from(const Value& value, const Place& place);
std::int64_t integer_from(const Value& value, const Place& place, std::int64_t low, std::int64_t high);
std::uint64_t unsigned_from(const Value& value, const Place& place, std::uint64_t high);
double real_from(const Value& value, const Place& place, double largest);
void complex_from(const Value& value, const Place& place, double largest, double& real, double& imaginary);
std::string_view text_from(const Value& value, const Place& place);
std::span<const std::byte> bytes_from(const Value& value, const Place& place);
std::size_t sequence_from(const Value& value, const Place& place);  // the size of a list, tuple or array
std::size_t set_from(const Value& value, const Place& place);
std::size_t dict_from(const Value& value, const Place& place);
void tuple_from(const Value& value, const Place& place, std::size_t size);

/// numpy's letter for a numeric type: see ArrayView. 0 for other types.
template <class T>
inline constexpr char kNumberType = std::same_as<T, float> || std::same_as<T, double> ? 'f'
                                    : !std::is_integral_v<T>                          ? '\0'
                                    : std::is_signed_v<T>                             ? 'i'
                                                                                      : 'u';
template <>
inline constexpr char kNumberType<bool> = '\0';

/// Reads the numbers of a sequence. Call sequence_from first, which returns their count.
void numbers_from(const Value& value, const Place& place, char type, std::size_t item_size, void* into);
/// Writes `count` items in memory, one every `stride` bytes, as a list; reads the items of a sequence into such memory.
void encode_list(Pickler& out, const void* items, std::size_t count, std::size_t stride,
                 void (*encode)(const void* value, Pickler& out));
void decode_items(const Value& value, const Place& place, void* items, std::size_t count, std::size_t stride,
                  void (*decode)(void* into, const Value& value, const Place& place));

/// The types that Python can tell apart, as bits: the alternatives of a variant must not overlap.
enum Category : unsigned {
  kNone = 1,
  kBool = 2,
  kInt = 4,
  kFloat = 8,
  kComplex = 16,
  kStr = 32,
  kBytes = 64,
  kList = 128,
  kTuple = 256,
  kSet = 512,
  kDict = 1024,
  kNdarray = 2048,
  kDatetime = 4096,
  kTimedelta = 8192,
  kException = 16384,
};
Category category_of(const Value& value);
unsigned wider_categories(unsigned category);  // the other categories that such a value converts to
constexpr unsigned kUnhashable = kList | kSet | kDict | kNdarray;

template <class T>
concept HasCodec = requires(const T& value) {
  typename Codec<T>::Stored;
  { Codec<T>::save(value) } -> std::convertible_to<typename Codec<T>::Stored>;
  { Codec<T>::load(std::declval<typename Codec<T>::Stored>()) } -> std::convertible_to<T>;
};

template <class T>
concept ComplexLike = requires(const T& v) {
  typename T::value_type;
  { v.real() } -> std::same_as<typename T::value_type>;
  { v.imag() } -> std::same_as<typename T::value_type>;
};
template <class T>
concept OptionalLike = requires(T& v) {
  typename T::value_type;
  { v.has_value() } -> std::same_as<bool>;
  v.reset();
  v.value();
  *v;
};
template <class T>
concept PathLike = requires(const T& v) {
  typename T::value_type;
  { v.native() } -> std::same_as<const std::string&>;
  v.lexically_normal();
};
template <class T>
concept TimePointLike = requires(const T& v) {
  typename T::clock;
  typename T::duration;
  v.time_since_epoch();
};
template <class T>
concept DurationLike = requires(const T& v) {
  typename T::rep;
  typename T::period;
  v.count();
};
template <class T>
concept Iterable = requires(const T& v) {
  typename T::value_type;
  v.begin();
  v.end();
  { v.size() } -> std::convertible_to<std::size_t>;
};
// Maps and sets hold each key once; a multimap has no counterpart in Python.
template <class T>
concept MapLike = Iterable<T> && requires(T& v, const typename T::value_type& item) {
  typename T::mapped_type;
  v.emplace(item).second;
  v.emplace_hint(v.end(), item);
};
template <class T>
concept SetLike = Iterable<T> && std::same_as<typename T::key_type, typename T::value_type> &&
                  requires(T& v, const typename T::value_type& item) {
                    v.emplace(item).second;
                    v.emplace_hint(v.end(), item);
                  };
template <class T>
concept SequenceLike = Iterable<T> && !requires { typename T::key_type; } && requires(T& v) {
  v.clear();
  v.emplace_back();
};
template <class T>
concept FixedSequence = Iterable<T> && !requires { typename T::key_type; } && requires { std::tuple_size<T>::value; };
/// Whether a container creates its items during iteration, so that they are destroyed before the payload.
template <class T>
inline constexpr bool kMakesItems = !std::is_reference_v<decltype(*std::declval<const T&>().begin())>;
template <class T>
concept Contiguous = requires(const T& v) {
  { v.data() } -> std::same_as<const typename T::value_type*>;
};
template <class T>
concept TupleLike = !Iterable<T> && requires { std::tuple_size<T>::value; };

/// Whether and how T is stored. The primary template: T cannot be stored.
template <class T>
struct Convert {
  static constexpr bool kStorable = false;
  static constexpr unsigned kCategory = 0;
};

template <class T>
concept Storable = Convert<T>::kStorable;
/// Items are read into new objects.
template <class T>
concept StorableItem = Storable<T> && requires { T{}; };

/// Convert without types, for function pointers in tables. Out of line, so that common types (common_types.h) are
/// compiled once, in the library.
template <class T>
struct Coder {
  static void encode(const void* value, Pickler& out);
  static void decode(void* into, const Value& value, const Place& place);
};
template <class T>
void Coder<T>::encode(const void* value, Pickler& out) {
  Convert<T>::encode(out, *static_cast<const T*>(value));
}
template <class T>
void Coder<T>::decode(void* into, const Value& value, const Place& place) {
  Convert<T>::decode(value, place, *static_cast<T*>(into));
}

template <class T>
void encode(Pickler& out, const T& value) {
  Coder<T>::encode(&value, out);
}
template <class T>
void decode(const Value& value, const Place& place, T& into) {
  Coder<T>::decode(&into, value, place);
}

}  // namespace detail
}  // namespace metaflow
