// How C++ values become Python values and back. What can be stored:
//
//   bool, integers, float, double, enums (as int)     bool, int, float, int
//   std::complex<float or double>                     complex
//   std::string (UTF-8), std::filesystem::path        str
//   mf::Bytes, std::vector<std::byte>                 bytes
//   vector, array, deque, list                        list (a numpy.ndarray is read, too)
//   map, unordered_map / set, unordered_set           dict / set
//   pair, tuple                                       tuple
//   optional, variant                                 None or the value, the value held
//   system_clock::time_point, durations               datetime (UTC, whole microseconds), timedelta
//   mf::Array<T>                                      numpy.ndarray
//   aggregates of these                               dict by member name
//
// and every type with a Codec. Reading never narrows silently: a value that does not fit is an Error that says where
// and why. (A Python float read as a C++ float is rounded to the nearest one; beyond its range is an error.)
//
// Standard types are recognised by their shape, so that this header includes few of them.
#pragma once

#include <metaflow/detail/pickler.h>
#include <metaflow/detail/reflect.h>
#include <metaflow/value.h>

#include <array>
#include <concepts>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

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

/// Text that need not be UTF-8; bytes in Python.
struct Bytes : std::string {
  using std::string::string;
  Bytes(std::string text) : std::string(std::move(text)) {}
};

namespace detail {

/// Where a value stands that is being converted, for error messages: a chain from the inside out.
struct Place {
  const Place* outer = nullptr;
  std::string_view name;  // of an artifact or member; empty: an item
  std::size_t index = 0;
};

[[noreturn]] void throw_misfit(const Value& value, const Place& place, std::string_view wanted);
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

/// numpy's letter for a type of numbers: see ArrayView. 0 for other types.
template <class T>
inline constexpr char kNumberType = std::same_as<T, float> || std::same_as<T, double> ? 'f'
                                    : !std::is_integral_v<T>                          ? '\0'
                                    : std::is_signed_v<T>                             ? 'i'
                                                                                      : 'u';
template <>
inline constexpr char kNumberType<bool> = '\0';

/// The numbers of a sequence, of which sequence_from has been asked the size.
void numbers_from(const Value& value, const Place& place, char type, std::size_t item_size, void* into);
/// A list of `count` items in memory, one every `stride` bytes; the items of a sequence into such memory.
void encode_list(Pickler& out, const void* items, std::size_t count, std::size_t stride,
                 void (*encode)(const void* value, Pickler& out));
void decode_items(const Value& value, const Place& place, void* items, std::size_t count, std::size_t stride,
                  void (*decode)(void* into, const Value& value, const Place& place));

/// What Python can tell apart, as bits: the alternatives of a variant must not overlap.
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
unsigned wider_categories(unsigned category);  // what else a value of this category fits into
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
template <class T>
concept Contiguous = requires(const T& v) {
  { v.data() } -> std::same_as<const typename T::value_type*>;
};
template <class T>
concept TupleLike = !Iterable<T> && requires { std::tuple_size<T>::value; };

/// Whether and how T is stored. The primary template: not at all.
template <class T>
struct Convert {
  static constexpr bool kStorable = false;
  static constexpr unsigned kCategory = 0;
};

template <class T>
concept Storable = Convert<T>::kStorable;

/// Convert without types: what tables point to. Out of line, so that those of common types (common_types.h) are
/// compiled once, into the library.
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

template <>
struct Convert<bool> {
  static constexpr bool kStorable = true;
  static constexpr unsigned kCategory = kBool;
  static void encode(Pickler& out, bool value) { out.boolean(value); }
  static void decode(const Value& value, const Place& place, bool& into) { into = boolean_from(value, place); }
};

template <class T>
  requires std::integral<T>
struct Convert<T> {
  static constexpr bool kStorable = sizeof(T) <= 8;
  static constexpr unsigned kCategory = kInt;
  static void encode(Pickler& out, T value) {
    if constexpr (std::is_signed_v<T>) {
      out.integer(value);
    } else {
      out.unsigned_integer(value);
    }
  }
  static void decode(const Value& value, const Place& place, T& into) {
    if constexpr (std::is_signed_v<T>) {
      into = static_cast<T>(integer_from(value, place, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    } else {
      into = static_cast<T>(unsigned_from(value, place, std::numeric_limits<T>::max()));
    }
  }
};

template <class T>
  requires(std::same_as<T, double> || std::same_as<T, float>)
struct Convert<T> {
  static constexpr bool kStorable = true;
  static constexpr unsigned kCategory = kFloat;
  static void encode(Pickler& out, T value) { out.real(static_cast<double>(value)); }
  static void decode(const Value& value, const Place& place, T& into) {
    into = static_cast<T>(real_from(value, place, static_cast<double>(std::numeric_limits<T>::max())));
  }
};

template <class T>
  requires(std::is_enum_v<T> && !HasCodec<T>)
struct Convert<T> {
  using Integer = std::underlying_type_t<T>;
  static constexpr bool kStorable = !std::same_as<T, std::byte>;
  static constexpr unsigned kCategory = kInt;
  static void encode(Pickler& out, T value) {
    const auto integer = static_cast<Integer>(value);
    Coder<Integer>::encode(&integer, out);
  }
  static void decode(const Value& value, const Place& place, T& into) {
    Integer integer{};
    Coder<Integer>::decode(&integer, value, place);
    into = static_cast<T>(integer);
  }
};

template <>
struct Convert<std::string> {
  static constexpr bool kStorable = true;
  static constexpr unsigned kCategory = kStr;
  static void encode(Pickler& out, const std::string& value) { out.text(value); }
  static void decode(const Value& value, const Place& place, std::string& into) { into = text_from(value, place); }
};

template <>
struct Convert<Bytes> {
  static constexpr bool kStorable = true;
  static constexpr unsigned kCategory = kBytes;
  static void encode(Pickler& out, const Bytes& value);
  static void decode(const Value& value, const Place& place, Bytes& into);
};

template <>
struct Convert<std::vector<std::byte>> {
  static constexpr bool kStorable = true;
  static constexpr unsigned kCategory = kBytes;
  static void encode(Pickler& out, const std::vector<std::byte>& value);
  static void decode(const Value& value, const Place& place, std::vector<std::byte>& into);
};

template <class T>
  requires HasCodec<T>
struct Convert<T> {
  using Stored = typename Codec<T>::Stored;
  static constexpr bool kStorable = Storable<Stored>;
  static constexpr unsigned kCategory = Convert<Stored>::kCategory;
  static void encode(Pickler& out, const T& value) {
    const Stored stored = Codec<T>::save(value);
    const Pickler::Copying copying(out);  // `stored` is gone before the payload is
    detail::encode(out, stored);
  }
  static void decode(const Value& value, const Place& place, T& into) {
    Stored stored{};
    detail::decode(value, place, stored);
    into = Codec<T>::load(std::move(stored));
  }
};

template <class T>
  requires(ComplexLike<T> && !HasCodec<T>)
struct Convert<T> {
  using Part = typename T::value_type;
  static constexpr bool kStorable = std::same_as<Part, double> || std::same_as<Part, float>;
  static constexpr unsigned kCategory = kComplex;
  static void encode(Pickler& out, const T& value) {
    out.complex(static_cast<double>(value.real()), static_cast<double>(value.imag()));
  }
  static void decode(const Value& value, const Place& place, T& into) {
    double real = 0;
    double imaginary = 0;
    complex_from(value, place, static_cast<double>(std::numeric_limits<Part>::max()), real, imaginary);
    into = T(static_cast<Part>(real), static_cast<Part>(imaginary));
  }
};

template <class T>
  requires(OptionalLike<T> && !HasCodec<T>)
struct Convert<T> {
  using Inner = typename T::value_type;
  static constexpr bool kStorable = Storable<Inner> && (Convert<Inner>::kCategory & kNone) == 0;
  static constexpr unsigned kCategory = kNone | Convert<Inner>::kCategory;
  static void encode(Pickler& out, const T& value) {
    if (value.has_value()) {
      Coder<Inner>::encode(&*value, out);
    } else {
      out.none();
    }
  }
  static void decode(const Value& value, const Place& place, T& into) {
    if (value.is_none()) {
      into.reset();
    } else {
      Coder<Inner>::decode(&into.emplace(Inner{}), value, place);
    }
  }
};

template <class... Ts>
consteval bool distinguishable() {
  unsigned seen = 0;
  bool distinct = true;
  ((distinct = distinct && (seen & Convert<Ts>::kCategory) == 0, seen |= Convert<Ts>::kCategory), ...);
  return distinct;
}

/// std::monostate, without <variant>.
template <class T>
concept MonostateLike = std::is_empty_v<T> && spelling_of_type<T>() == std::string_view("std::monostate");

template <class T>
  requires MonostateLike<T>
struct Convert<T> {
  static constexpr bool kStorable = true;
  static constexpr unsigned kCategory = kNone;
  static void encode(Pickler& out, const T&) { out.none(); }
  static void decode(const Value& value, const Place& place, T&) {
    if (!value.is_none()) throw_misfit(value, place, "None");
  }
};

template <class T>
concept VariantLike = requires(T& v) {
  v.index();
  v.valueless_by_exception();
  v.template emplace<0>();
};

/// A variant whose alternatives can be stored, but that Python could not read back into the right one.
template <class T>
inline constexpr bool kHasTwinAlternatives = false;
template <template <class...> class Variant, class... Ts>
  requires VariantLike<Variant<Ts...>>
inline constexpr bool kHasTwinAlternatives<Variant<Ts...>> = (Storable<Ts> && ...) && !distinguishable<Ts...>();

template <template <class...> class Variant, class... Ts>
  requires VariantLike<Variant<Ts...>>
struct Convert<Variant<Ts...>> {
  static constexpr bool kStorable = (Storable<Ts> && ...) && distinguishable<Ts...>();
  static constexpr unsigned kCategory = (Convert<Ts>::kCategory | ...);
  static void encode(Pickler& out, const Variant<Ts...>& value) {
    visit([&](const auto& held) { detail::encode(out, held); }, value);  // found by argument-dependent lookup
  }
  static void decode(const Value& value, const Place& place, Variant<Ts...>& into) {
    constexpr auto kAll = std::index_sequence_for<Ts...>{};
    const unsigned category = category_of(value);
    if (!try_decode(value, place, into, category, kAll) &&
        !try_decode(value, place, into, wider_categories(category), kAll))
      throw_misfit(value, place, "any alternative of the variant");
  }

 private:
  template <std::size_t... I>
  static bool try_decode(const Value& value, const Place& place, Variant<Ts...>& into, unsigned category,
                         std::index_sequence<I...>) {
    return (((Convert<Ts>::kCategory & category) != 0 &&
             (detail::decode(value, place, into.template emplace<I>()), true)) ||
            ...);
  }
};

template <class T>
  requires(PathLike<T> && !HasCodec<T>)
struct Convert<T> {
  static constexpr bool kStorable = true;
  static constexpr unsigned kCategory = kStr;
  static void encode(Pickler& out, const T& value) { out.text(value.native()); }
  static void decode(const Value& value, const Place& place, T& into) {
    into = T(std::string(text_from(value, place)));
  }
};

/// count x num / den seconds as whole microseconds and the nanoseconds below.
void encode_ticks(Pickler& out, std::int64_t count, std::intmax_t num, std::intmax_t den, bool time_point);
void encode_ticks(Pickler& out, double count, std::intmax_t num, std::intmax_t den, bool time_point);
std::int64_t integer_ticks_from(const Value& value, const Place& place, std::intmax_t num, std::intmax_t den,
                                std::int64_t low, std::int64_t high, bool time_point);
double real_ticks_from(const Value& value, const Place& place, std::intmax_t num, std::intmax_t den);

template <class T>
  requires(DurationLike<T> && !HasCodec<T>)
struct Convert<T> {
  using Rep = typename T::rep;
  using Period = typename T::period;
  static constexpr bool kStorable = std::is_floating_point_v<Rep> || (std::is_integral_v<Rep> && std::is_signed_v<Rep>);
  static constexpr unsigned kCategory = kTimedelta;
  static void encode(Pickler& out, const T& value) { encode_as(out, value, false); }
  static void decode(const Value& value, const Place& place, T& into) { decode_as(value, place, into, false); }

  static void encode_as(Pickler& out, const T& value, bool time_point) {
    if constexpr (std::is_floating_point_v<Rep>) {
      encode_ticks(out, static_cast<double>(value.count()), Period::num, Period::den, time_point);
    } else {
      encode_ticks(out, static_cast<std::int64_t>(value.count()), Period::num, Period::den, time_point);
    }
  }
  static void decode_as(const Value& value, const Place& place, T& into, bool time_point) {
    if constexpr (std::is_floating_point_v<Rep>) {
      into = T(static_cast<Rep>(real_ticks_from(value, place, Period::num, Period::den)));
    } else {
      into =
          T(static_cast<Rep>(integer_ticks_from(value, place, Period::num, Period::den, std::numeric_limits<Rep>::min(),
                                                std::numeric_limits<Rep>::max(), time_point)));
    }
  }
};

template <class T>
  requires(TimePointLike<T> && !HasCodec<T>)
struct Convert<T> {
  using Duration = typename T::duration;
  // Only the system clock has a date; steady_clock's zero means nothing to another process.
  static constexpr bool kStorable =
      requires { T::clock::to_time_t(T{}); } && !std::is_floating_point_v<typename Duration::rep>;
  static constexpr unsigned kCategory = kDatetime;
  static void encode(Pickler& out, const T& value) {
    Convert<Duration>::encode_as(out, value.time_since_epoch(), true);
  }
  static void decode(const Value& value, const Place& place, T& into) {
    Duration since_epoch{};
    Convert<Duration>::decode_as(value, place, since_epoch, true);
    into = T(since_epoch);
  }
};

template <class T>
  requires(MapLike<T> && !HasCodec<T>)
struct Convert<T> {
  using Key = typename T::key_type;
  using Mapped = typename T::mapped_type;
  static constexpr bool kStorable = Storable<Key> && Storable<Mapped> && (Convert<Key>::kCategory & kUnhashable) == 0;
  static constexpr unsigned kCategory = kDict;
  static void encode(Pickler& out, const T& value) {
    out.begin_dict();
    for (const auto& [key, mapped] : value) {
      out.next();
      Coder<Key>::encode(&key, out);
      Coder<Mapped>::encode(&mapped, out);
    }
    out.end();
  }
  static void decode(const Value& value, const Place& place, T& into) {
    const std::size_t size = dict_from(value, place);
    into.clear();
    for (std::size_t i = 0; i < size; ++i) {
      const Place at{&place, {}, i};
      Key key{};
      Coder<Key>::decode(&key, value[i], at);
      if constexpr (requires { into[key]; }) {
        Coder<Mapped>::decode(&into[key], value.mapped(i), at);
      } else {
        Mapped mapped{};
        Coder<Mapped>::decode(&mapped, value.mapped(i), at);
        into.emplace_hint(into.end(), std::move(key), std::move(mapped));  // ours are sorted
      }
    }
  }
};

template <class T>
  requires(SetLike<T> && !HasCodec<T>)
struct Convert<T> {
  using Item = typename T::value_type;
  static constexpr bool kStorable = Storable<Item> && (Convert<Item>::kCategory & kUnhashable) == 0;
  static constexpr unsigned kCategory = kSet;
  static void encode(Pickler& out, const T& value) {
    out.begin_set();
    for (const auto& item : value) {
      out.next();
      detail::encode(out, item);
    }
    out.end();
  }
  static void decode(const Value& value, const Place& place, T& into) {
    const std::size_t size = set_from(value, place);
    into.clear();
    for (std::size_t i = 0; i < size; ++i) {
      Item item{};
      detail::decode(value[i], Place{&place, {}, i}, item);
      into.emplace_hint(into.end(), std::move(item));
    }
  }
};

template <class T>
  requires(FixedSequence<T> && !HasCodec<T>)
struct Convert<T> {
  using Item = typename T::value_type;
  static constexpr bool kStorable = Storable<Item>;
  static constexpr unsigned kCategory = kList;
  static constexpr char kNumbers = Contiguous<T> ? kNumberType<Item> : '\0';
  static void encode(Pickler& out, const T& value) {
    if constexpr (kNumbers != '\0') {
      out.list_of_numbers(kNumbers, sizeof(Item), value.data(), value.size());
    } else {
      out.begin_list();
      for (const auto& item : value) {
        out.next();
        detail::encode(out, item);
      }
      out.end();
    }
  }
  static void decode(const Value& value, const Place& place, T& into) {
    const std::size_t size = sequence_from(value, place);
    if (size != into.size()) throw_wrong_size(value, place, into.size());
    if constexpr (kNumbers != '\0') {
      numbers_from(value, place, kNumbers, sizeof(Item), into.data());
    } else {
      for (std::size_t i = 0; i < size; ++i) detail::decode(value[i], Place{&place, {}, i}, into[i]);
    }
  }
};

template <class T>
  requires(SequenceLike<T> && !HasCodec<T> && !std::same_as<T, std::vector<std::byte>>)
struct Convert<T> {
  using Item = typename T::value_type;
  static constexpr bool kStorable = Storable<Item>;
  static constexpr unsigned kCategory = kList;
  static constexpr char kNumbers = Contiguous<T> ? kNumberType<Item> : '\0';
  static void encode(Pickler& out, const T& value) {
    if constexpr (kNumbers != '\0') {
      out.list_of_numbers(kNumbers, sizeof(Item), value.data(), value.size());
    } else if constexpr (Contiguous<T>) {
      encode_list(out, value.data(), value.size(), sizeof(Item), Coder<Item>::encode);
    } else {
      out.begin_list();
      for (const auto& item : value) {
        out.next();
        detail::encode<Item>(out, item);  // Item: vector<bool> hands out proxies
      }
      out.end();
    }
  }
  static void decode(const Value& value, const Place& place, T& into) {
    const std::size_t size = sequence_from(value, place);
    if constexpr (kNumbers != '\0') {
      into.resize(size);
      numbers_from(value, place, kNumbers, sizeof(Item), into.data());
    } else if constexpr (Contiguous<T>) {
      into.clear();
      into.resize(size);
      decode_items(value, place, into.data(), size, sizeof(Item), Coder<Item>::decode);
    } else if constexpr (std::same_as<Item, bool>) {
      into.clear();
      for (std::size_t i = 0; i < size; ++i) into.push_back(boolean_from(value[i], Place{&place, {}, i}));
    } else {
      into.clear();
      for (std::size_t i = 0; i < size; ++i) Coder<Item>::decode(&into.emplace_back(), value[i], Place{&place, {}, i});
    }
  }
};

template <class T, class Indices = std::make_index_sequence<std::tuple_size<T>::value>>
struct ConvertTuple;
template <class T, std::size_t... I>
struct ConvertTuple<T, std::index_sequence<I...>> {
  static constexpr bool kStorable = (Storable<std::remove_const_t<std::tuple_element_t<I, T>>> && ...);
  static void encode(Pickler& out, const T& value) {
    out.begin_tuple(sizeof...(I));
    ((out.next(), detail::encode(out, get<I>(value))), ...);
    out.end();
  }
  static void decode([[maybe_unused]] const Value& value, [[maybe_unused]] const Place& place,
                     [[maybe_unused]] T& into) {
    (detail::decode(value[I], Place{&place, {}, I}, get<I>(into)), ...);
  }
};

template <class T>
  requires(TupleLike<T> && !HasCodec<T>)
struct Convert<T> {
  static constexpr bool kStorable = ConvertTuple<T>::kStorable;
  static constexpr unsigned kCategory = kTuple;
  static void encode(Pickler& out, const T& value) { ConvertTuple<T>::encode(out, value); }
  static void decode(const Value& value, const Place& place, T& into) {
    tuple_from(value, place, std::tuple_size<T>::value);
    ConvertTuple<T>::decode(value, place, into);
  }
};

/// A struct of data: stored as a dict by member name.
template <class T>
concept PlainAggregate = std::is_aggregate_v<T> && std::is_class_v<T> && requires { T{}; } && !HasCodec<T> &&
                         !Iterable<T> && !TupleLike<T> && !TimePointLike<T> && !DurationLike<T> && !MonostateLike<T>;

template <class T, class... Ts>
consteval bool all_storable(TypeList<Ts...>) {
  return kLayout<T>.obstacle == Obstacle::none && (Storable<Ts> && ...);  // const: nothing could be read into it
}

/// The members of a struct, without their types.
struct StructMember {
  std::string_view name;
  void (*encode)(const void* value, Pickler& out);
  void (*decode)(void* into, const Value& value, const Place& place);
};
void encode_struct(Pickler& out, const StructMember* members, void* const* addresses, std::size_t count);
void decode_struct(const Value& value, const Place& place, const StructMember* members, void* const* addresses,
                   std::size_t count);

template <class T, class Types = MemberTypes<T>>
struct StructTable;
template <class T, class... Ts>
struct StructTable<T, TypeList<Ts...>> {
  static constexpr std::size_t kCount = sizeof...(Ts);
  static constexpr std::size_t kRoom = kCount + 1;  // no arrays of nothing
  struct Table {
    StructMember members[kRoom];
  };
  static consteval Table make() {
    std::size_t i = 0;
    return {{StructMember{kMemberNames<T>.names[i++], Coder<Ts>::encode, Coder<Ts>::decode}..., StructMember{}}};
  }
  static constexpr Table kTable = make();
};

template <class T>
  requires(PlainAggregate<T> || (ListsItsMembers<T> && !HasCodec<T>))
struct Convert<T> {
  static constexpr bool kStorable = all_storable<T>(MemberTypes<T>{});
  static constexpr unsigned kCategory = kDict;
  static void encode(Pickler& out, const T& value) {
    using Table = StructTable<T>;
    void* addresses[Table::kRoom];
    addresses_of_members<T>(const_cast<T*>(&value), addresses);
    encode_struct(out, Table::kTable.members, addresses, Table::kCount);
  }
  static void decode(const Value& value, const Place& place, T& into) {
    using Table = StructTable<T>;
    void* addresses[Table::kRoom];
    addresses_of_members<T>(&into, addresses);
    decode_struct(value, place, Table::kTable.members, addresses, Table::kCount);
  }
};

/// Whether a stored value can be read as a T. If not, this says so.
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

/// Stands for a value where a static_assert has said that there is none; fits everywhere, so that it is all that is
/// said.
struct Misfit {
  template <class T>
  operator T() const;
};

}  // namespace detail

namespace detail {

// What the library has compiled already.
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
