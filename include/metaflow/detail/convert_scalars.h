// Single values: numbers, text, bytes, times, enums, and types with their own Codec.
#pragma once

#include <limits>
#include <vector>

#include <metaflow/detail/convert.h>

namespace metaflow::detail {

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
    const Pickler::Copying copying(out);  // `stored` is destroyed before the payload
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
  // Only the system clock has dates; the epoch of steady_clock differs between processes.
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

}  // namespace metaflow::detail
